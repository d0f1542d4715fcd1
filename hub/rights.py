"""What a token may do, as the Hub tells it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from hub import parse
from hub.reads import Reads

WRITE = "repo.write"
TALK = "discussion.write"
WEBHOOKS = ("user.webhooks.read", "user.webhooks.write")
"""What a fine-grained token needs for the account itself, to list and to make webhooks."""


@dataclass(frozen=True)
class Rights:
    """`role`: read, write, god or fineGrained; `scoped`: owner or repo in lower case → permissions, of the last kind.

    `roles`: organisation in lower case → the account's role there, "" where it is not shown.
    """

    name: str
    id: str
    role: str
    scoped: Mapping[str, frozenset[str]]
    everywhere: frozenset[str]
    roles: Mapping[str, str]

    def missing(self, repo: str, *wanted: str) -> tuple[str, ...]:
        """Which of `wanted` the token does not grant for `repo` (`owner/name`), whatever the account itself may do."""
        if self.role == "read":
            return wanted
        if self.role != "fineGrained":
            return ()
        owner = repo.partition("/")[0].lower()
        granted = self.scoped.get(repo.lower(), frozenset()) | self.scoped.get(owner, frozenset()) | self.everywhere
        return tuple(one for one in wanted if one not in granted)

    def missing_for_webhooks(self) -> tuple[str, ...]:
        """Which of WEBHOOKS the token does not grant."""
        return self.missing(f"{self.name}/", *WEBHOOKS)

    def may_create_in(self, namespace: str) -> bool:
        """Whether the account may make repos in `namespace`, and the token lets it."""
        mine = namespace.lower() == self.name.lower()
        role = self.roles.get(namespace.lower())
        return (mine or role in ("admin", "write", "contributor", "")) and not self.missing(f"{namespace}/x", WRITE)


def rights_of(hub: Reads) -> Rights:
    """The rights of our token: one call, of a kind that the Hub limits more than others."""
    return parse.parsed(_rights, hub.session.send("GET", "/api/whoami-v2", route="whoami").json())


def _rights(it: Any) -> Rights:
    token = (it.get("auth") or {}).get("accessToken") or {}
    fine = token.get("fineGrained") or {}
    scoped: dict[str, frozenset[str]] = {}
    for one in fine.get("scoped") or ():
        name = str(one["entity"].get("name") or one["entity"].get("_id")).lower()
        scoped[name] = scoped.get(name, frozenset()) | frozenset(map(str, one["permissions"]))
    return Rights(
        name=str(it["name"]),
        id=str(it["id"]),
        role=str(token.get("role", "write")),
        scoped=scoped,
        everywhere=frozenset(map(str, fine.get("global") or ())),
        roles={str(org["name"]).lower(): str(org.get("roleInOrg") or "") for org in it.get("orgs") or ()},
    )
