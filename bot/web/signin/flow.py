"""One sign-in, from the link to the way back: what binds the answer of the Hub to the browser that asked.

The browser keeps one secret in a short-lived cookie, and all that travels is made of it: the state, the nonce of the id
token, the verifier of PKCE. So the server keeps nothing of a sign-in that was begun, and a code that comes back in
another browser, or without its state, is worth nothing. Each is good for one answer: the cookie goes with it.

Race accepted: two sign-ins in two tabs of one browser. The later one counts, and the other is asked to begin anew.
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

LASTS = 600
"""Seconds for which a person may take their time on the Hub's page."""
LONGEST = 1_000
_SECRET = re.compile(r"[\w-]{43}")


@dataclass(frozen=True)
class Flow:
    """A sign-in that was begun, and the page of ours to which it leads."""

    secret: str
    next: str = "/"

    @property
    def state(self) -> str:
        """What comes back with the code."""
        return self._made("state")

    @property
    def nonce(self) -> str:
        """What the id token has to say."""
        return self._made("nonce")

    @property
    def verifier(self) -> str:
        """What only we can show when the code is changed for a token."""
        return self._made("verifier")

    @property
    def challenge(self) -> str:
        """What the Hub is told of the verifier before."""
        return _base64(hashlib.sha256(self.verifier.encode()).digest())

    def is_answered_by(self, state: str) -> bool:
        """Whether an answer with `state` is to this one."""
        return hmac.compare_digest(self.state.encode(), state.encode("utf-8", "replace"))

    def _made(self, of: str) -> str:
        return _base64(hmac.digest(self.secret.encode(), of.encode(), hashlib.sha256))


def begin(next: str) -> Flow:
    """A new one."""
    return Flow(secrets.token_urlsafe(32), local(next))


def to_cookie(flow: Flow) -> str:
    """`flow` as a cookie."""
    return f"{flow.secret}.{_base64(flow.next.encode())}"


def read(cookie: str) -> Flow | None:
    """The sign-in in a cookie; None where there is none."""
    secret, _, target = cookie.partition(".")
    if not _SECRET.fullmatch(secret) or len(target) > 2 * LONGEST:
        return None
    try:
        next = base64.b64decode(target + "=" * (-len(target) % 4), b"-_", validate=True).decode()
    except (ValueError, binascii.Error):
        return None
    return Flow(secret, local(next))


def local(target: str) -> str:
    """`target` if it is a page of ours, and the first page otherwise: no link of ours leads a person elsewhere."""
    plain = target.isascii() and target.isprintable() and "\\" not in target and " " not in target
    if not plain or len(target) > LONGEST or not target.startswith("/") or target.startswith("//"):
        return "/"
    try:
        parts = urlsplit(target)
    except ValueError:
        return "/"
    ours = not parts.scheme and not parts.netloc and not parts.path.startswith("/signin")
    return target if ours else "/"


def _base64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")
