"""People who use the board's own pages: they sign in with their account on the Hub, submit, and press buttons.

The web server may be away or restarted meanwhile. Each method then returns nothing, and its caller tries again: each
form has a key, by which the web server recognises a form that it received already.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from urllib.parse import parse_qsl, urlsplit

import httpx2

SIGN_IN_AGAIN = 12 * 3600.0
"""Simulated seconds after which a person signs in again."""
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
        """Send a form of a page; return the address of the answer, or "" where it could not be sent."""
        browser = self.browser(person)
        if browser is None:
            return ""
        try:
            token = browser.get("/api/me").json()["csrf"]
            answer = browser.post(path, data={"csrf": token, **fields})
        except (httpx2.HTTPError, ValueError, KeyError):
            self._browsers.pop(person, None)  # the session may have ended with Redis
            return ""
        return str(answer.headers["location"]) if answer.status_code == 303 else ""

    def read(self, person: str, address: str) -> str:
        """Return the page at `address`, or where it leads; "" where it cannot be read."""
        browser = self.browser(person)
        try:
            answer = browser.get(address, follow_redirects=True) if browser is not None else None
        except httpx2.HTTPError:
            return ""
        return answer.text if answer is not None and answer.is_success else ""
