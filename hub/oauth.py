"""Sign-in with the Hub: the authorization code flow of OpenID Connect with PKCE.

The web server sends a browser to `authorize_url`, and the browser returns with a code. `identify` exchanges the code
for a token, reads the user from the Hub, and drops the token: only a user id reported by the Hub is needed.

No library is used, because the available ones bring cryptography that this flow does not need. The id token comes from
the Hub over TLS, which replaces the check of its signature (OpenID Connect Core, 3.1.3.7); its claims are checked.
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
"""The permissions that the app asks for."""
TIMEOUT, SKEW, METADATA_SECONDS = 5.0, 60.0, 3_600.0
"""Seconds: of one wait on the network; of difference between clocks; for which the Hub's metadata are cached."""
MAX_BYTES = 200_000
"""Maximal bytes of a response."""
_ID, _NAME = re.compile(r"[A-Za-z0-9-]{1,64}"), re.compile(r"[\w.-]{1,96}")


@dataclass(frozen=True)
class OAuthApp:
    """The OAuth app registered at the Hub. Browsers return to `redirect_uri`."""

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
    """The Hub at `url` as an OpenID provider. Safe to share between threads.

    Every method raises HubError and no other exception of its own: Transient if the Hub is unavailable, Denied if it
    refuses or if a check of its response fails.
    """

    def __init__(self, url: str, app: OAuthApp, *, now: Callable[[], float] = time.time) -> None:
        self.app = app
        self._url, self._now = url.rstrip("/"), now
        self._session = HubSession(self._url, None, timeout=TIMEOUT)
        self._known: tuple[float, _Endpoints] | None = None

    def authorize_url(self, *, state: str, nonce: str, challenge: str) -> str:
        """Return the URL to which a browser is sent. `challenge` is the PKCE challenge (S256)."""
        parameters = {
            "client_id": self.app.client_id,
            "redirect_uri": self.app.redirect_uri,
            "response_type": "code",
            "scope": SCOPES,
            "state": state,
            "nonce": nonce,
            "code_challenge": challenge,
            "code_challenge_method": "S256",
        }
        return f"{self._endpoints().authorization}?{urlencode(parameters)}"

    def identify(self, code: str, *, verifier: str, nonce: str) -> Account:
        """Return the account that signed in, from the code that its browser brought."""
        endpoints = self._endpoints()
        token = self._exchange(endpoints, code, verifier)
        identity = claims_in(str(token.get("id_token", "")))
        self._check(endpoints, identity, nonce)
        bearer = {"authorization": f"Bearer {token.get('access_token')}"}
        answer = self._session.send("GET", endpoints.userinfo, route="oauth", headers=bearer, limit=MAX_BYTES)
        userinfo = _mapping(answer.json())
        user_id, name = str(userinfo.get("sub", "")), str(userinfo.get("preferred_username", ""))
        if user_id != identity.get("sub") or not _ID.fullmatch(user_id) or not _NAME.fullmatch(name):
            raise Denied("The Hub's response does not identify the user who signed in.")
        return Account(user_id, name)

    def _exchange(self, endpoints: _Endpoints, code: str, verifier: str) -> dict[str, object]:
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
        answer = self._session.send(
            "POST", endpoints.token, route="oauth", content=content, headers=headers, limit=MAX_BYTES
        )
        return _mapping(answer.json())

    def _check(self, endpoints: _Endpoints, identity: dict[str, Any], nonce: str) -> None:
        aud, exp = identity.get("aud"), identity.get("exp")
        holds = (
            identity.get("iss") == endpoints.issuer
            and aud in (self.app.client_id, [self.app.client_id])
            and isinstance(exp, int | float)
            and exp > self._now() - SKEW
            and hmac.compare_digest(str(identity.get("nonce", "")).encode("utf-8", "replace"), nonce.encode())
        )
        if not holds:
            raise Denied("The Hub's response does not belong to this sign-in.")

    def _endpoints(self) -> _Endpoints:
        if self._known is not None and time.monotonic() - self._known[0] < METADATA_SECONDS:
            return self._known[1]
        answer = self._session.send("GET", "/.well-known/openid-configuration", route="oauth", limit=MAX_BYTES)
        metadata = _mapping(answer.json())
        issuer = str(metadata.get("issuer", ""))
        urls = [str(metadata.get(f"{name}_endpoint", "")) for name in ("authorization", "token", "userinfo")]
        # The client secret is sent there: only to the configured Hub, never to another host that a response names.
        if issuer.rstrip("/") != self._url or any(_origin(url) != _origin(self._url) for url in urls):
            raise Garbled(f"The sign-in metadata of {self._url} belong to another host.")
        endpoints = _Endpoints(issuer, *urls)
        self._known = (time.monotonic(), endpoints)
        return endpoints


def claims_in(token: str) -> dict[str, object]:
    """Return the claims of a JSON web token without checking its signature. Raises Garbled."""
    parts = token.split(".")
    if len(parts) != 3:
        raise Garbled("The Hub's id token is malformed.")
    try:
        return _mapping(json.loads(base64.b64decode(parts[1] + "=" * (-len(parts[1]) % 4), b"-_", validate=True)))
    except (ValueError, binascii.Error, RecursionError) as error:
        raise Garbled("The Hub's id token cannot be read.") from error


def _mapping(value: object) -> dict[str, object]:
    if not isinstance(value, dict):
        raise Garbled("The Hub's response is no JSON object.")
    return value


def _origin(url: str) -> tuple[str, str]:
    parts = urlsplit(url)
    return parts.scheme, parts.netloc
