"""People who use the board's own pages: they sign in with their account on the Hub, submit, and press buttons.

The web server may be away or restarted meanwhile. Each method then returns nothing, and its caller tries again: each
form has a key, by which the web server recognises a form that it received already. When Redis is lost, sessions and
forms without an answer are lost with it: people then sign in and send them again, as the board's pages say.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from urllib.parse import parse_qsl, urlsplit

import httpx2

from redis_state.board.sessions import SESSION_SECONDS

SIGN_IN_AGAIN = SESSION_SECONDS / 2
"""Simulated seconds after which a person signs in again."""
SIGNED_IN = 'action="/signout"'
"""Part of every page that is shown to a person who is signed in."""
NO_CONNECTIONS = httpx2.Limits(max_keepalive_connections=0)


@dataclass
class PageVisitors:
    """The browsers of all people on the web server at `url`."""

    url: str
    now: Callable[[], float]
    _browsers: dict[str, tuple[float, httpx2.Client]] = field(default_factory=dict)

    def browser(self, person: str) -> httpx2.Client | None:
        """Return a browser in which `person` is signed in; None while that is not possible."""
        since, browser = self._browsers.get(person, (0.0, None))
        if browser is not None and self.now() - since < SIGN_IN_AGAIN:
            return browser
        made = httpx2.Client(base_url=self.url, timeout=30, limits=NO_CONNECTIONS)
        try:
            begun = made.get("/signin", params={"next": "/"})
            hub, _, query = begun.headers.get("location", "").partition("?")
            agreed = httpx2.post(hub, data={**dict(parse_qsl(query)), "as": person}, timeout=30)
            back = made.get(agreed.headers.get("location", ""))
        except (httpx2.HTTPError, httpx2.InvalidURL):
            return None
        if back.status_code != 303 or urlsplit(back.headers["location"]).path != "/":
            return None
        self._browsers[person] = self.now(), made
        return made

    def post(self, person: str, path: str, fields: Mapping[str, str]) -> str:
        """Send a form of a page; return the address of the answer, or "" if it could not be sent."""
        browser = self.browser(person)
        if browser is None:
            return ""
        try:
            token = browser.get("/api/me").json()["csrf"]
            answer = browser.post(path, data={"csrf": token, **fields}) if token else None
        except (httpx2.HTTPError, ValueError, KeyError):
            answer = None
        if answer is None:
            self._forget_session(person)
            return ""
        return str(answer.headers["location"]) if answer.status_code == 303 else ""

    def read(self, person: str, address: str) -> str | None:
        """Return the page to which `address` leads; "" if it cannot be read now, None for a 404."""
        browser = self.browser(person)
        try:
            answer = browser.get(address, follow_redirects=True) if browser is not None else None
        except httpx2.HTTPError:
            return ""
        if answer is None:
            return ""
        if SIGNED_IN not in answer.text:
            self._forget_session(person)
            return ""
        return None if answer.status_code == 404 else answer.text if answer.is_success else ""

    def _forget_session(self, person: str) -> None:
        """Have `person` sign in again: the session may have ended with Redis."""
        self._browsers.pop(person, None)


@dataclass
class SentForm:
    """A form that a person sends, and sends again if the board does not know it any more."""

    visitors: PageVisitors
    person: str
    path: str
    fields: Mapping[str, str]
    address: str = ""
    """The address of the answer; "" before it is sent."""

    def is_sent(self) -> bool:
        """Whether the form is sent; sends it if not."""
        self.address = self.address or self.visitors.post(self.person, self.path, self.fields)
        return bool(self.address)

    def is_answered(self, texts: Iterable[str]) -> bool:
        """Whether the page with the answer to the form has one of `texts`."""
        if not self.is_sent():
            return False
        page = self.visitors.read(self.person, self.address)
        if page is None:
            self.address = ""
        return any(words in (page or "") for words in texts)
