"""Reads of accounts: the token's own, users, and the members of organisations. Every read is retried."""

from __future__ import annotations

import time
from urllib.parse import quote

from hub import parse
from hub.calls import HubCalls
from hub.records import Account
from hub.retries import Retries
from hub.session import HubSession

NAME_SECONDS = 300.0
"""Seconds until `me()` reads the account's name again; `comments.py` says why."""


class AccountCalls(HubCalls):
    """The part of `Hub` for accounts."""

    def __init__(self, session: HubSession, retries: Retries) -> None:
        super().__init__(session, retries)
        self._me: tuple[Account, float] | None = None

    def whoami(self) -> Account:
        """Return the account of the token. The Hub limits this call more strictly than others: see `me`."""
        return parse.parsed(lambda it: Account(it["id"], it["name"]), self._get("/api/whoami-v2", "whoami").json())

    def whoami_and_kind(self) -> tuple[Account, str]:
        """Return the account of the token and its kind: `user`, `org` or `app`."""
        answer = self._get("/api/whoami-v2", "whoami").json()
        return parse.parsed(lambda it: (Account(str(it["id"]), str(it["name"])), str(it["type"])), answer)

    def organisations(self) -> frozenset[str]:
        """Return the account's organisations in lower case; the token may read their private repos."""
        answer = self._get("/api/whoami-v2", "whoami").json()
        mine = parse.parsed(lambda it: [(org["name"], org.get("roleInOrg")) for org in it.get("orgs") or ()], answer)
        return frozenset(str(name).lower() for name, role in mine if role != "no_access")

    def me(self) -> Account:
        """Return `whoami`, cached for a few minutes."""
        now = time.monotonic()
        if self._me is None or now - self._me[1] > NAME_SECONDS:
            self._me = (self.whoami(), now)
        return self._me[0]

    def user(self, name: str) -> Account:
        """Return the account that has this name now. Raises NotFound."""
        return parse.parsed(parse.user, self._get(f"/api/users/{quote(name, safe='')}/overview", "user").json())

    def member(self, org: str, user_id: str, name: str) -> str | None:
        """Return the role in `org` of the user with this id and present name; "" if the Hub hides roles.

        None if the user is no member. Raises NotFound if there is no such organisation. Only members see roles.
        """
        members = self._pages(
            f"/api/organizations/{quote(org, safe='')}/members", "members", {"search": name, "limit": "100"}
        )
        for member in members:
            if parse.parsed(lambda it: it["_id"], member) == user_id:
                return str(member.get("role") or "")
        return None

    def members(self, org: str) -> dict[str, str]:
        """Map every member's user id to the role, as in `member`; one call per thousand. Raises NotFound."""
        pages = self._pages(f"/api/organizations/{quote(org, safe='')}/members", "members", {"limit": "1000"})
        return {parse.parsed(lambda it: str(it["_id"]), member): str(member.get("role") or "") for member in pages}
