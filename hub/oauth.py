"""Signing in with the Hub: the authorization code flow of OpenID Connect, with PKCE, as one app needs it.

A browser is sent to `authorize_url` and comes back with a code; `identify` changes that for a token, asks whose it is,
and forgets the token: all that is wanted is an id that the Hub itself reports.

Why no library: those there are bring cryptography for what this flow does without. The id token comes straight from the
Hub over TLS, which stands for its signature (OpenID Connect Core, 3.1.3.7); its claims are checked all the same.
"""

from __future__ import annotations

import base64
import binascii
import hmac
import json
import re
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode, urlsplit

from hub.errors import Denied, Garbled
from hub.records import Account
from hub.session import HubSession

SCOPES = "openid profile"
"""What people are asked to let us know, and nothing more."""
TIMEOUT, SKEW, REMEMBERED = 5.0, 60.0, 3_600.0
"""Seconds: for one wait on the network; by which clocks may differ; for which the Hub's metadata are believed."""
LONGEST = 200_000
"""Bytes of an answer."""
_ID, _NAME = re.compile(r"[A-Za-z0-9-]{1,64}"), re.compile(r"[\w.-]{1,96}")


@dataclass(frozen=True)
class OAuthApp:
    """Our app, as the Hub knows it. `redirect_uri` is where browsers come back to."""

    client_id: str
    secret: str = field(repr=False)
    redirect_uri: str


@dataclass(frozen=True)
class _Endpoints:
    issuer: str
    authorization: str
    token: str
    userinfo: str


class Provider:
    """The Hub at `url`, as the one that says who somebody is. Safe to share between threads.

    Every method raises HubError and nothing else of its own: Transient where the Hub is away, Denied where it says no
    or what it says does not hold.
    """

    def __init__(self, url: str, app: OAuthApp, *, now: Callable[[], float] = time.time) -> None:
        self.app = app
        self._url, self._now = url.rstrip("/"), now
        self._session = HubSession(self._url, None, timeout=TIMEOUT)
        self._known: tuple[float, _Endpoints] | None = None

    def authorize_url(self, *, state: str, nonce: str, challenge: str) -> str:
        """Where to send a browser. `challenge` is that of PKCE, by S256."""
        asked = {
            "client_id": self.app.client_id,
            "redirect_uri": self.app.redirect_uri,
            "response_type": "code",
            "scope": SCOPES,
            "state": state,
            "nonce": nonce,
            "code_challenge": challenge,
            "code_challenge_method": "S256",
        }
        return f"{self._endpoints().authorization}?{urlencode(asked)}"

    def identify(self, code: str, *, verifier: str, nonce: str) -> Account:
        """Who agreed, by the code that their browser brought."""
        known = self._endpoints()
        token = self._exchange(known, code, verifier)
        identity = claims_in(str(token.get("id_token", "")))
        self._check(known, identity, nonce)
        bearer = {"authorization": f"Bearer {token.get('access_token')}"}
        answer = self._session.send("GET", known.userinfo, route="oauth", headers=bearer, limit=LONGEST)
        told = _mapping(answer.json())
        person, name = str(told.get("sub", "")), str(told.get("preferred_username", ""))
        if person != identity.get("sub") or not _ID.fullmatch(person) or not _NAME.fullmatch(name):
            raise Denied("The Hub does not say clearly who signed in.")
        return Account(person, name)

    def _exchange(self, known: _Endpoints, code: str, verifier: str) -> dict[str, Any]:
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": self.app.redirect_uri,
            "client_id": self.app.client_id,
            "code_verifier": verifier,
        }
        pair = base64.b64encode(f"{self.app.client_id}:{self.app.secret}".encode()).decode()
        headers = {"authorization": f"Basic {pair}", "content-type": "application/x-www-form-urlencoded"}
        content = urlencode(form).encode()
        answer = self._session.send("POST", known.token, route="oauth", content=content, headers=headers, limit=LONGEST)
        return _mapping(answer.json())

    def _check(self, known: _Endpoints, identity: dict[str, Any], nonce: str) -> None:
        aud, exp = identity.get("aud"), identity.get("exp")
        holds = (
            identity.get("iss") == known.issuer
            and aud in (self.app.client_id, [self.app.client_id])
            and isinstance(exp, int | float)
            and exp > self._now() - SKEW
            and hmac.compare_digest(str(identity.get("nonce", "")).encode("utf-8", "replace"), nonce.encode())
        )
        if not holds:
            raise Denied("The Hub's answer is not about this sign-in.")

    def _endpoints(self) -> _Endpoints:
        if self._known is not None and time.monotonic() - self._known[0] < REMEMBERED:
            return self._known[1]
        answer = self._session.send("GET", "/.well-known/openid-configuration", route="oauth", limit=LONGEST)
        told = _mapping(answer.json())
        issuer = str(told.get("issuer", ""))
        found = [str(told.get(f"{name}_endpoint", "")) for name in ("authorization", "token", "userinfo")]
        # The secret goes there: to the Hub that the operator named, and to no other host that an answer may name.
        if issuer.rstrip("/") != self._url or any(_origin(one) != _origin(self._url) for one in found):
            raise Garbled(f"{self._url} describes the sign-in of another host.")
        known = _Endpoints(issuer, *found)
        self._known = (time.monotonic(), known)
        return known


def claims_in(token: str) -> dict[str, Any]:
    """What a JSON web token says; its signature is not looked at. Raises Garbled."""
    parts = token.split(".")
    if len(parts) != 3:
        raise Garbled("The Hub's id token is none.")
    try:
        return _mapping(json.loads(base64.b64decode(parts[1] + "=" * (-len(parts[1]) % 4), b"-_", validate=True)))
    except (ValueError, binascii.Error, RecursionError) as error:
        raise Garbled("The Hub's id token cannot be read.") from error


def _mapping(found: object) -> dict[str, Any]:
    if not isinstance(found, dict):
        raise Garbled("The Hub answered with something that is no object.")
    return found


def _origin(url: str) -> tuple[str, str]:
    parts = urlsplit(url)
    return parts.scheme, parts.netloc
