"""One sign-in by OAuth, from the link to the callback, bound to the browser that began it.

The browser stores one secret in a short-lived cookie. The state, the nonce of the id token and the verifier of PKCE are
derived from it. So the server stores nothing about a sign-in that was begun, and a code that comes back in another
browser, or without its state, is worthless. Each secret serves one answer: the callback deletes the cookie.

Race accepted: two sign-ins in two tabs of one browser. The later one counts, and the other has to be started again.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import re
import secrets
from dataclasses import dataclass
from urllib.parse import urlsplit

MAX_SECONDS = 600
"""Time that a person may spend on the Hub's page."""
MAX_ADDRESS = 1_000
"""Characters of the address to return to."""
_SECRET = re.compile(r"[\w-]{43}")


@dataclass(frozen=True)
class Flow:
    """A sign-in that was begun, and the page to which it returns."""

    secret: str
    next: str = "/"

    @property
    def state(self) -> str:
        """The state parameter, which the Hub returns with the code."""
        return self._derive("state")

    @property
    def nonce(self) -> str:
        """The nonce that the id token must contain."""
        return self._derive("nonce")

    @property
    def verifier(self) -> str:
        """The PKCE verifier, sent when the code is exchanged for a token."""
        return self._derive("verifier")

    @property
    def challenge(self) -> str:
        """The PKCE challenge: a digest of the verifier, sent when the sign-in begins."""
        return _base64(hashlib.sha256(self.verifier.encode()).digest())

    def is_answered_by(self, state: str) -> bool:
        """Whether an answer with `state` belongs to this sign-in."""
        return hmac.compare_digest(self.state.encode(), state.encode("utf-8", "replace"))

    def _derive(self, purpose: str) -> str:
        return _base64(hmac.digest(self.secret.encode(), purpose.encode(), hashlib.sha256))


def begin(next: str) -> Flow:
    """A new sign-in that returns to the page `next`."""
    return Flow(secrets.token_urlsafe(32), local(next))


def to_cookie(flow: Flow) -> str:
    """`flow` as the value of a cookie."""
    return f"{flow.secret}.{_base64(flow.next.encode())}"


def read(cookie: str) -> Flow | None:
    """The sign-in in the value of a cookie; None if it is invalid."""
    secret, _, target = cookie.partition(".")
    if not _SECRET.fullmatch(secret) or len(target) > 2 * MAX_ADDRESS:
        return None
    try:
        next = base64.b64decode(target + "=" * (-len(target) % 4), b"-_", validate=True).decode()
    except (ValueError, binascii.Error):
        return None
    return Flow(secret, local(next))


def local(target: str) -> str:
    """`target` if it is a page of this server, else "/": the sign-in must not redirect to another site."""
    plain = target.isascii() and target.isprintable() and "\\" not in target and " " not in target
    if not plain or len(target) > MAX_ADDRESS or not target.startswith("/") or target.startswith("//"):
        return "/"
    try:
        parts = urlsplit(target)
    except ValueError:
        return "/"
    is_local = not parts.scheme and not parts.netloc and not parts.path.startswith("/signin")
    return target if is_local else "/"


def _base64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")
