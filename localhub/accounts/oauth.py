"""Signing in with this Hub: registered apps, and the codes and tokens that they get.

The authorization code flow of OAuth 2.1 and OpenID Connect, as far as the Hub documents it: an app sends a browser to
the page where a person agrees, gets a code through that browser, and exchanges it for a token. A code is valid for one
exchange within CODE_SECONDS; a second exchange revokes the token of the first.

The real Hub signs identities with its own key (RS256), this one with the app's secret (HS256): both are in the
standard, and HS256 needs only the standard library.
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
from typing import Any
from urllib.parse import urlsplit

from localhub.accounts.store import Account, Accounts, token_hash
from localhub.clock import Clock
from localhub.database import Database
from localhub.errors import HubError, WorldError
from localhub.json_values import JsonObject

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
CODE_SECONDS, TOKEN_SECONDS = 60.0, 8 * 3600
"""Lifetimes. Tokens last as long as the Hub's do by default for a Space."""
_PERMISSIONS = {"read-repos": "repo.content.read", "write-repos": "repo.write", "manage-repos": "repo.write"}

SCHEMA = """
CREATE TABLE IF NOT EXISTS oauth_apps (
  client_id TEXT PRIMARY KEY, secret TEXT NOT NULL, name TEXT NOT NULL, redirects TEXT NOT NULL, scopes TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS oauth_tokens (hash TEXT PRIMARY KEY, client_id TEXT NOT NULL, scope TEXT NOT NULL);
"""


@dataclass(frozen=True)
class RegisteredApp:
    """An OAuth app. `redirects` are addresses, or origins (of a Space) below which every address is allowed."""

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
    """A person's consent, until its code is exchanged. `challenge`: of PKCE, by S256; "" for none."""

    app: RegisteredApp
    account: Account
    redirect_uri: str
    scope: str
    nonce: str
    challenge: str
    until: float


class OAuth:
    """The apps of one Hub, and the codes and tokens that they got."""

    def __init__(self, database: Database, accounts: Accounts, clock: Clock) -> None:
        self._database = database
        self._accounts = accounts
        self._clock = clock
        self._codes: dict[str, AuthorizationGrant] = {}
        self._used: dict[str, tuple[str, float]] = {}
        """Code → the token that it was exchanged for, and when."""
        self._lock = threading.Lock()
        database.ensure(SCHEMA)

    def register(
        self, client_id: str, secret: str, redirects: Sequence[str], *, name: str = "", scopes: Sequence[str] = ()
    ) -> RegisteredApp:
        """Register an app, or change it. Its scopes always include `openid` and `profile`."""
        allowed = tuple(dict.fromkeys(("openid", "profile", *scopes)))
        if not client_id or not secret or not set(allowed) <= set(SCOPES):
            raise WorldError(f"an OAuth app has an id, a secret, and scopes among {', '.join(SCOPES)}")
        row = (client_id, secret, name or client_id, json.dumps(list(redirects)), json.dumps(allowed))
        with self._database.write() as db:
            db.execute("INSERT OR REPLACE INTO oauth_apps VALUES (?,?,?,?,?)", row)
        return RegisteredApp(client_id, secret, row[2], tuple(redirects), allowed)

    def app(self, client_id: str) -> RegisteredApp | None:
        """The app of that id."""
        row = self._database.row("SELECT * FROM oauth_apps WHERE client_id = ?", (client_id,))
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
        """Store the account's consent; return its code."""
        now, code = self._clock.seconds(), secrets.token_urlsafe(24)
        with self._lock:
            self._codes = {name: grant for name, grant in self._codes.items() if grant.until > now}
            self._used = {name: used for name, used in self._used.items() if used[1] > now - TOKEN_SECONDS}
            self._codes[code] = AuthorizationGrant(
                app, account, redirect_uri, scope, nonce, challenge, now + CODE_SECONDS
            )
        return code

    def exchange(
        self, app: RegisteredApp, code: str, redirect_uri: str, verifier: str
    ) -> tuple[AuthorizationGrant, str]:
        """Exchange a code for a token; return the consent and the token.

        Raises `HubError` `invalid_grant` for a code that is not valid for this app, address and verifier.
        """
        with self._lock:
            grant = self._codes.pop(code, None)
            used = self._used.pop(code, None)
        if used is not None:
            self._accounts.revoke_token(used[0])
        if grant is None or grant.app.client_id != app.client_id or grant.until <= self._clock.seconds():
            raise refusal("invalid_grant", "The code is unknown, used or too old.")
        if grant.redirect_uri != redirect_uri:
            raise refusal("invalid_grant", "The redirect_uri is not that of the authorization request.")
        if not hmac.compare_digest(grant.challenge, challenge_of(verifier) if verifier else ""):
            raise refusal("invalid_grant", "The code_verifier does not fit the code_challenge.")
        token = f"hf_oauth_{secrets.token_urlsafe(24)}"
        self._store_token(grant, token)
        with self._lock:
            self._used[code] = (token, self._clock.seconds())
        return grant, token

    def scope_of(self, token: str) -> str | None:
        """The scopes of a token that an app got; None for any other token."""
        row = self._database.row("SELECT scope FROM oauth_tokens WHERE hash = ?", (token_hash(token),))
        return row["scope"] if row else None

    def claims(self, account: Account, scope: str, hub: str) -> JsonObject:
        """The claims about `account` that the scopes allow; `hub` is the Hub's address."""
        scopes = scope.split()
        orgs = [self._org(org, role, hub) for org, role in self._accounts.orgs(account)] if "profile" in scopes else []
        claims = dict[str, Any](sub=account.id, isPro=account.is_pro, orgs=orgs)
        if "profile" in scopes:
            claims |= {
                "name": account.fullname,
                "preferred_username": account.name,
                "profile": f"{hub}/{account.name}",
                "picture": f"{hub}{account.avatar_url}",
            }
        if "email" in scopes:
            claims |= {"email": account.email, "email_verified": True} if account.email else {"email_verified": False}
        return claims

    def id_token(self, grant: AuthorizationGrant, hub: str) -> str:
        """The signed identity of the person who agreed."""
        now = int(self._clock.seconds())
        claims = self.claims(grant.account, grant.scope, hub)
        claims |= {"iss": hub, "aud": grant.app.client_id, "iat": now, "auth_time": now, "exp": now + TOKEN_SECONDS}
        return signed({**claims, **({"nonce": grant.nonce} if grant.nonce else {})}, grant.app.secret)

    def _store_token(self, grant: AuthorizationGrant, token: str) -> None:
        scopes = grant.scope.split()
        entity = {"type": "user", "name": grant.account.name}
        permissions = sorted({_PERMISSIONS[scope] for scope in scopes if scope in _PERMISSIONS})
        spec: Mapping[str, Any] = {
            "name": grant.app.name,
            "role": "fineGrained",
            "scoped": [{"entity": entity, "permissions": permissions}] if permissions else [],
            "global": ["discussion.write"] if "write-discussions" in scopes else [],
            "expiresAt": self._clock.seconds() + TOKEN_SECONDS,
        }
        self._accounts.add_token(grant.account, token, spec)
        with self._database.write() as db:
            row = (token_hash(token), grant.app.client_id, grant.scope)
            db.execute("INSERT OR REPLACE INTO oauth_tokens VALUES (?,?,?)", row)

    def _org(self, org: Account, role: str, hub: str) -> JsonObject:
        return {
            "sub": org.id,
            "name": org.fullname,
            "preferred_username": org.name,
            "picture": f"{hub}{org.avatar_url}",
            "isEnterprise": False,
            "roleInOrg": role,
            **({"plan": org.plan} if org.plan else {}),
        }


def refusal(error: str, reason: str, *, status: int = 400, headers: Mapping[str, str] | None = None) -> HubError:
    """An error in OAuth's form: the code `error`, with `reason` as its `error_description`."""
    return HubError(status, error, headers=headers, extra={"error_description": reason})


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
