"""The permissions of a token, as the Hub reports them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from hub import parse
from hub.calls import HubCalls

WRITE = "repo.write"
TALK = "discussion.write"
JOBS = "job.write"
WEBHOOKS = ("user.webhooks.read", "user.webhooks.write")
"""Permissions of a fine-grained token for listing and creating webhooks of the account."""


@dataclass(frozen=True)
class Rights:
    """The permissions of a token. `role` is read, write, god or fineGrained.

    `scoped` maps an owner or repo, in lower case, to permissions of a fineGrained token. `roles` maps an organisation,
    in lower case, to the account's role in it, "" if hidden.
    """

    name: str
    id: str
    role: str
    scoped: Mapping[str, frozenset[str]]
    everywhere: frozenset[str]
    roles: Mapping[str, str]
    payers: frozenset[str] = frozenset()
    """The account and its organisations that have a payment method, in lower case."""

    def missing(self, repo: str, *wanted: str) -> tuple[str, ...]:
        """Return the permissions in `wanted` that the token lacks for `repo` (`owner/name`)."""
        if self.role == "read":
            return wanted
        if self.role != "fineGrained":
            return ()
        owner = repo.partition("/")[0].lower()
        granted = self.scoped.get(repo.lower(), frozenset()) | self.scoped.get(owner, frozenset()) | self.everywhere
        return tuple(permission for permission in wanted if permission not in granted)

    def missing_for_webhooks(self) -> tuple[str, ...]:
        """Return the permissions in WEBHOOKS that the token lacks."""
        return self.missing(f"{self.name}/", *WEBHOOKS)

    def may_create_in(self, namespace: str) -> bool:
        """Whether account and token allow the creation of repos in `namespace`."""
        return self._may_use(namespace, WRITE)

    def may_start_jobs_in(self, namespace: str) -> bool:
        """Whether account and token allow Jobs of `namespace` to be started."""
        return self._may_use(namespace, JOBS)

    def _may_use(self, namespace: str, permission: str) -> bool:
        """Whether the account may write in `namespace`, and the token has `permission`. A hidden role counts as yes."""
        is_own = namespace.lower() == self.name.lower()
        role = self.roles.get(namespace.lower())
        may_write = is_own or role in ("admin", "write", "contributor", "")
        return may_write and not self.missing(f"{namespace}/x", permission)


def rights_of(hub: HubCalls) -> Rights:
    """Return the permissions of the token in one call, which the Hub limits more strictly than others."""
    return parse.parsed(_rights, hub.session.send("GET", "/api/whoami-v2", route="whoami").json())


def _rights(answer: Any) -> Rights:
    token = (answer.get("auth") or {}).get("accessToken") or {}
    fine_grained = token.get("fineGrained") or {}
    scoped: dict[str, frozenset[str]] = {}
    for grant in fine_grained.get("scoped") or ():
        name = str(grant["entity"].get("name") or grant["entity"].get("_id")).lower()
        scoped[name] = scoped.get(name, frozenset()) | frozenset(map(str, grant["permissions"]))
    accounts = (
        (answer["name"], answer.get("canPay")),
        *((org["name"], org.get("canPay")) for org in answer.get("orgs") or ()),
    )
    return Rights(
        name=str(answer["name"]),
        id=str(answer["id"]),
        role=str(token.get("role", "write")),
        scoped=scoped,
        everywhere=frozenset(map(str, fine_grained.get("global") or ())),
        roles={str(org["name"]).lower(): str(org.get("roleInOrg") or "") for org in answer.get("orgs") or ()},
        payers=frozenset(str(name).lower() for name, pays in accounts if pays is True),
    )
