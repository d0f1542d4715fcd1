"""Signing in with this Hub: the request of an app, the page where a person agrees, and the answers to the app.

An app's mistake is reported to it through the browser, but only after its id and its redirect address are checked: a
request with an unknown app or address gets an error page and no redirect.
"""

from __future__ import annotations

import base64
import binascii
import hmac
from dataclasses import dataclass
from typing import Annotated
from urllib.parse import unquote_plus, urlencode, urlsplit

from fastapi import Depends, Request, Response
from fastapi.responses import HTMLResponse, RedirectResponse

from localhub.accounts.oauth import SCOPES, TOKEN_SECONDS, RegisteredApp, refusal
from localhub.errors import BadRequest, HubError
from localhub.http.routing import HubRouter
from localhub.json_values import JsonObject
from localhub.routes.dependencies import CallerDep, StateDep, public_url
from localhub.routes.page_dependencies import Form, PageRoute, SameSite, page, user_named
from localhub.state import HubState

router = HubRouter(tags=["oauth"])
pages = HubRouter(tags=["oauth"], route_class=PageRoute, default_response_class=HTMLResponse)

_MAX_FIELD_CHARS = 2_000
_FIELDS = (
    "client_id",
    "redirect_uri",
    "response_type",
    "scope",
    "state",
    "nonce",
    "code_challenge",
    "code_challenge_method",
)


@dataclass(frozen=True)
class AuthorizationRequest:
    """The request of an app; `fields` holds its parameters as sent."""

    app: RegisteredApp
    redirect_uri: str
    scope: str
    fields: dict[str, str]

    def redirect(self, **answer: str) -> Response:
        """Redirect the browser to the app with the answer."""
        state = self.fields.get("state")
        query = urlencode({**answer, **({"state": state} if state else {})})
        separator = "&" if urlsplit(self.redirect_uri).query else "?"
        return RedirectResponse(f"{self.redirect_uri}{separator}{query}", 303, {"Cache-Control": "no-store"})

    @property
    def mistake(self) -> tuple[str, str] | None:
        """The app's mistake: OAuth's error code and a sentence; None for a valid request."""
        if self.fields.get("response_type") != "code":
            return "unsupported_response_type", "The response_type is code."
        if not set(self.scope.split()) <= set(self.app.scopes):
            return "invalid_scope", f"This app may ask for {' '.join(self.app.scopes)}."
        if self.fields.get("code_challenge_method", "S256") != "S256":
            return "invalid_request", "The code_challenge_method is S256."
        return None


@router.get("/.well-known/openid-configuration")
def metadata(request: Request) -> JsonObject:
    """The addresses and features of sign-in, for programs."""
    hub = public_url(request)
    return {
        "issuer": hub,
        "authorization_endpoint": f"{hub}/oauth/authorize",
        "token_endpoint": f"{hub}/oauth/token",
        "userinfo_endpoint": f"{hub}/oauth/userinfo",
        "jwks_uri": f"{hub}/oauth/jwks",
        "scopes_supported": list(SCOPES),
        "response_types_supported": ["code"],
        "grant_types_supported": ["authorization_code"],
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": ["HS256"],
        "token_endpoint_auth_methods_supported": ["client_secret_basic", "client_secret_post"],
        "code_challenge_methods_supported": ["S256"],
        "claims_supported": ["sub", "name", "preferred_username", "profile", "picture", "email", "isPro", "orgs"],
    }


@router.get("/oauth/jwks")
def keys() -> JsonObject:
    """No public keys: identities are signed with the app's own secret."""
    return {"keys": []}


@pages.get("/oauth/authorize")
def consent_page(request: Request, state: StateDep) -> Response:
    """The page on which a person agrees that an app learns their identity."""
    authorization = _authorization_request(state, dict(request.query_params))
    if authorization.mistake is not None:
        return _redirect_with_error(authorization, *authorization.mistake)
    answer = page(request, "authorize.html", authorization=authorization)
    # The answer to the form redirects to the app, and browsers apply `form-action` to that redirect too.
    target = urlsplit(authorization.redirect_uri)
    policy = answer.headers["Content-Security-Policy"]
    answer.headers["Content-Security-Policy"] = policy.replace(
        "form-action 'self'", f"form-action 'self' {target.scheme}://{target.netloc}"
    )
    return answer


@pages.post("/oauth/authorize", dependencies=[SameSite])
def agree(request: Request, state: StateDep, form: Form) -> Response:
    """Redirect the browser to the app: with a code if the person agreed, else with an error."""
    authorization = _authorization_request(state, form)
    if authorization.mistake is not None:
        return _redirect_with_error(authorization, *authorization.mistake)
    if not form.get("as"):
        return _redirect_with_error(authorization, "access_denied", "The person did not agree.")
    code = state.oauth.agree(
        authorization.app,
        user_named(request, form["as"]),
        authorization.redirect_uri,
        scope=authorization.scope,
        nonce=authorization.fields.get("nonce", ""),
        challenge=authorization.fields.get("code_challenge", ""),
    )
    return authorization.redirect(code=code)


async def _token_form(request: Request) -> dict[str, str]:
    if not request.headers.get("content-type", "").startswith("application/x-www-form-urlencoded"):
        raise refusal("invalid_request", "The body is a form.")
    fields = await request.form(max_files=0, max_fields=50)
    return {name: str(value) for name, value in fields.items()}


@router.post("/oauth/token")
def token(
    request: Request, response: Response, state: StateDep, form: Annotated[dict[str, str], Depends(_token_form)]
) -> JsonObject:
    """Exchange a code for a token and a signed identity."""
    response.headers["Cache-Control"] = "no-store"
    app = _app(state, request, form)
    if form.get("grant_type") != "authorization_code":
        raise refusal("unsupported_grant_type", "The grant_type is authorization_code.")
    values = (form.get(name, "") for name in ("code", "redirect_uri", "code_verifier"))
    grant, secret = state.oauth.exchange(app, *values)
    return {
        "access_token": secret,
        "token_type": "bearer",
        "expires_in": TOKEN_SECONDS,
        "scope": grant.scope,
        "id_token": state.oauth.id_token(grant, public_url(request)),
    }


@router.get("/oauth/userinfo")
@router.post("/oauth/userinfo", include_in_schema=False)
def userinfo(request: Request, state: StateDep, caller: CallerDep) -> JsonObject:
    """The claims about the owner of a token that its scopes allow."""
    account = caller.require_account()
    scope = state.oauth.scope_of(request.headers["authorization"].partition(" ")[2].strip())
    if scope is None:
        raise refusal("insufficient_scope", "This token was not made for an app.", status=403)
    return state.oauth.claims(account, scope, public_url(request))


def _authorization_request(state: HubState, parameters: dict[str, str]) -> AuthorizationRequest:
    """The request of an app; `BadRequest` for an unknown app or an address that it did not register."""
    fields = {name: parameters[name] for name in _FIELDS if parameters.get(name)}
    if any(len(value) > _MAX_FIELD_CHARS for value in fields.values()):
        raise BadRequest("The address of this page is too long.")
    app = state.oauth.app(fields.get("client_id", ""))
    if app is None:
        raise BadRequest("No app with this client_id is known here.")
    redirect = fields.get("redirect_uri", "")
    if not app.may_redirect(redirect):
        raise BadRequest(f"{app.name} may not send you back to this redirect_uri.")
    return AuthorizationRequest(app, redirect, fields.get("scope", "openid profile"), fields)


def _redirect_with_error(authorization: AuthorizationRequest, error: str, reason: str) -> Response:
    return authorization.redirect(error=error, error_description=reason)


def _app(state: HubState, request: Request, form: dict[str, str]) -> RegisteredApp:
    """The app that sends its id and secret, in the header or in the form."""
    from_form = [(form.get("client_id", ""), form.get("client_secret", ""))]
    for client_id, secret in _basic(request.headers.get("authorization")) or from_form:
        app = state.oauth.app(client_id)
        if app is not None and hmac.compare_digest(app.secret.encode(), secret.encode("utf-8", "replace")):
            return app
    raise _unknown_app()


def _basic(header: str | None) -> list[tuple[str, str]] | None:
    """Id and secret of a Basic header, as sent (the Hub's guide) and form-decoded (the standard); None without one."""
    scheme, _, value = (header or "").partition(" ")
    if scheme.lower() != "basic":
        return None
    try:
        name, _, secret = base64.b64decode(value, validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        raise _unknown_app() from None
    return [(name, secret), (unquote_plus(name), unquote_plus(secret))]


def _unknown_app() -> HubError:
    reason = "The app is unknown, or its secret is wrong."
    return refusal("invalid_client", reason, status=401, headers={"WWW-Authenticate": "Basic"})


router.join(pages)
