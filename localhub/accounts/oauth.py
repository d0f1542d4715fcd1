"""Signing in with this Hub: the apps that may ask who somebody is, and the codes and tokens that they get.

The authorization code flow of OAuth 2.1 and OpenID Connect, as far as the Hub documents it: an app sends a browser to
the page where a person agrees, gets a code by way of that browser, and changes it for a token at once. A code is good
for one exchange within CODE_LASTS seconds; shown twice, it takes the token back that it was changed for.

What the Hub signs with a key of its own (RS256) is signed here with the app's secret (HS256): both are in the standard,
and this one needs no cryptography beyond that of the language.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import secrets
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from localhub.accounts.store import Account, token_hash
from localhub.errors import HubError, WorldError

if TYPE_CHECKING:
    from localhub.state import HubState

SCOPES = (
    "openid",
    "profile",
    "email",
    "read-repos",
    "write-repos",
    "manage-repos",
    "inference-api",
    "write-discussions",
)
CODE_LASTS, TOKEN_LASTS = 60.0, 8 * 3600
"""Seconds. Tokens last as long as the Hub's do where a Space says nothing else."""
_PERMISSIONS = {"read-repos": "repo.content.read", "write-repos": "repo.write", "manage-repos": "repo.write"}

SCHEMA = """
CREATE TABLE IF NOT EXISTS oauth_apps (
  client_id TEXT PRIMARY KEY, secret TEXT NOT NULL, name TEXT NOT NULL, redirects TEXT NOT NULL, scopes TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS oauth_tokens (hash TEXT PRIMARY KEY, client_id TEXT NOT NULL, scope TEXT NOT NULL);
"""


@dataclass(frozen=True)
class RegisteredApp:
    """An OAuth app. `redirects` are addresses, or origins (of a Space) below which any address will do."""

    client_id: str
    secret: str
    name: str
    redirects: tuple[str, ...]
    scopes: tuple[str, ...]

    def may_redirect(self, uri: str) -> bool:
        """Whether a browser may be sent back to `uri`."""
        parts = urlsplit(uri)
        if parts.scheme not in ("http", "https") or not parts.netloc or parts.fragment or not uri.isprintable():
            return False
        return uri in self.redirects or f"{parts.scheme}://{parts.netloc}" in self.redirects


@dataclass(frozen=True)
class AuthorizationGrant:
    """What a person agreed to, until its code is exchanged. `challenge`: of PKCE, by S256; "" for none."""

    app: RegisteredApp
    account: Account
    redirect_uri: str
    scope: str
    nonce: str
    challenge: str
    until: float


class OAuth:
    """The apps of one box, and what they were let know."""

    def __init__(self, state: HubState) -> None:
        self._state = state
        self._codes: dict[str, AuthorizationGrant] = {}
        self._used: dict[str, tuple[str, float]] = {}
        """Code → the token that it was changed for, and when."""
        self._lock = threading.Lock()
        state.store.ensure(SCHEMA)

    def register(
        self, client_id: str, secret: str, redirects: Sequence[str], *, name: str = "", scopes: Sequence[str] = ()
    ) -> RegisteredApp:
        """Makes an app, or changes it. `openid` and `profile` are among its scopes always."""
        wanted = tuple(dict.fromkeys(("openid", "profile", *scopes)))
        if not client_id or not secret or not set(wanted) <= set(SCOPES):
            raise WorldError(f"an OAuth app has an id, a secret, and scopes among {', '.join(SCOPES)}")
        row = (client_id, secret, name or client_id, json.dumps(list(redirects)), json.dumps(wanted))
        with self._state.store.write() as db:
            db.execute("INSERT OR REPLACE INTO oauth_apps VALUES (?,?,?,?,?)", row)
        return RegisteredApp(client_id, secret, row[2], tuple(redirects), wanted)

    def app(self, client_id: str) -> RegisteredApp | None:
        """The app of that id."""
        row = self._state.store.row("SELECT * FROM oauth_apps WHERE client_id = ?", (client_id,))
        if row is None:
            return None
        redirects, scopes = (tuple(json.loads(row[column])) for column in ("redirects", "scopes"))
        return RegisteredApp(row["client_id"], row["secret"], row["name"], redirects, scopes)

    def agree(
        self,
        app: RegisteredApp,
        account: Account,
        redirect_uri: str,
        *,
        scope: str,
        nonce: str = "",
        challenge: str = "",
    ) -> str:
        """The code for what `account` agreed to."""
        now, code = self._state.clock.seconds(), secrets.token_urlsafe(24)
        with self._lock:
            self._codes = {name: one for name, one in self._codes.items() if one.until > now}
            self._used = {name: one for name, one in self._used.items() if one[1] > now - TOKEN_LASTS}
            self._codes[code] = AuthorizationGrant(
                app, account, redirect_uri, scope, nonce, challenge, now + CODE_LASTS
            )
        return code

    def exchange(
        self, app: RegisteredApp, code: str, redirect_uri: str, verifier: str
    ) -> tuple[AuthorizationGrant, str]:
        """What was agreed to, and a token for it. HubError `invalid_grant` where the code is not good for that."""
        with self._lock:
            agreed = self._codes.pop(code, None)
            used = self._used.pop(code, None)
        if used is not None:
            self._state.accounts.revoke_token(used[0])
        if agreed is None or agreed.app.client_id != app.client_id or agreed.until <= self._state.clock.seconds():
            raise refusal("invalid_grant", "The code is unknown, used or too old.")
        if agreed.redirect_uri != redirect_uri:
            raise refusal("invalid_grant", "The redirect_uri is not that of the authorization request.")
        if not hmac.compare_digest(agreed.challenge, challenge_of(verifier) if verifier else ""):
            raise refusal("invalid_grant", "The code_verifier does not fit the code_challenge.")
        token = f"hf_oauth_{secrets.token_urlsafe(24)}"
        self._give(agreed, token)
        with self._lock:
            self._used[code] = (token, self._state.clock.seconds())
        return agreed, token

    def scope_of(self, token: str) -> str | None:
        """The scopes of a token that an app got; None where it is none of those."""
        row = self._state.store.row("SELECT scope FROM oauth_tokens WHERE hash = ?", (token_hash(token),))
        return row["scope"] if row else None

    def claims(self, account: Account, scope: str, hub: str) -> dict[str, Any]:
        """What an app is told of `account`, whose Hub is at `hub`."""
        scopes, told = scope.split(), dict[str, Any](sub=account.id)
        if "profile" in scopes:
            told |= {
                "name": account.fullname,
                "preferred_username": account.name,
                "profile": f"{hub}/{account.name}",
                "picture": f"{hub}{account.avatar_url}",
                "website": "",
                "isPro": account.is_pro,
                "orgs": [self._org(org, role, hub) for org, role in self._state.accounts.orgs(account)],
            }
        if "email" in scopes:
            told |= {"email": account.email, "email_verified": account.email is not None}
        return told

    def id_token(self, agreed: AuthorizationGrant, hub: str) -> str:
        """The identity of who agreed, signed."""
        now = int(self._state.clock.seconds())
        claims = self.claims(agreed.account, agreed.scope, hub)
        claims |= {"iss": hub, "aud": agreed.app.client_id, "iat": now, "auth_time": now, "exp": now + TOKEN_LASTS}
        return signed({**claims, **({"nonce": agreed.nonce} if agreed.nonce else {})}, agreed.app.secret)

    def _give(self, agreed: AuthorizationGrant, token: str) -> None:
        scopes = agreed.scope.split()
        entity = {"type": "user", "name": agreed.account.name}
        allowed = sorted({_PERMISSIONS[one] for one in scopes if one in _PERMISSIONS})
        spec: Mapping[str, Any] = {
            "name": agreed.app.name,
            "role": "fineGrained",
            "scoped": [{"entity": entity, "permissions": allowed}] if allowed else [],
            "global": ["discussion.write"] if "write-discussions" in scopes else [],
            "expiresAt": self._state.clock.seconds() + TOKEN_LASTS,
        }
        self._state.accounts.add_token(agreed.account, token, spec)
        with self._state.store.write() as db:
            row = (token_hash(token), agreed.app.client_id, agreed.scope)
            db.execute("INSERT OR REPLACE INTO oauth_tokens VALUES (?,?,?)", row)

    def _org(self, org: Account, role: str, hub: str) -> dict[str, Any]:
        return {
            "sub": org.id,
            "name": org.fullname,
            "preferred_username": org.name,
            "picture": f"{hub}{org.avatar_url}",
            "plan": org.plan,
            "isEnterprise": False,
            "roleInOrg": role,
        }


def refusal(error: str, why: str, *, status: int = 400, headers: Mapping[str, str] | None = None) -> HubError:
    """A refusal in OAuth's own form."""
    return HubError(status, error, headers=headers, extra={"error_description": why})


def challenge_of(verifier: str) -> str:
    """The PKCE challenge of `verifier`, by S256."""
    return _base64(hashlib.sha256(verifier.encode("utf-8", "replace")).digest())


def signed(claims: Mapping[str, Any], secret: str) -> str:
    """A JSON web token of `claims`, by HS256."""
    parts = [{"alg": "HS256", "typ": "JWT"}, claims]
    body = ".".join(_base64(json.dumps(part, separators=(",", ":")).encode()) for part in parts)
    return f"{body}.{_base64(hmac.digest(secret.encode(), body.encode(), hashlib.sha256))}"


def _base64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")
