"""Signing in with this Hub: what an app asks, the page where a person agrees, and what the app is told.

An error that the app made is told to it by way of the browser, once it is sure that the app asked: who names no known
app, or an address that is none of the app's, sees a page and is sent nowhere.
"""

from __future__ import annotations

import base64
import binascii
import hmac
from dataclasses import dataclass
from typing import Annotated, Any
from urllib.parse import unquote_plus, urlencode, urlsplit

from fastapi import APIRouter, Depends, Request, Response
from fastapi.responses import HTMLResponse, RedirectResponse

from localhub.accounts.oauth import SCOPES, TOKEN_LASTS, RegisteredApp, refusal
from localhub.errors import BadRequest, HubError
from localhub.pages import page
from localhub.repos import access
from localhub.routes.dependencies import CallerDep, StateDep, public_url
from localhub.routes.page_dependencies import Form, PageRoute, SameSite, user_named
from localhub.state import HubState

router = APIRouter(tags=["oauth"])
pages = APIRouter(tags=["oauth"], route_class=PageRoute, default_response_class=HTMLResponse)

_LONGEST = 2_000
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
    """What an app asks for, with `fields` as it wrote them."""

    app: RegisteredApp
    redirect_uri: str
    scope: str
    fields: dict[str, str]

    def back(self, **told: str) -> Response:
        """Sends the browser back to the app."""
        state = self.fields.get("state")
        query = urlencode({**told, **({"state": state} if state else {})})
        joint = "&" if urlsplit(self.redirect_uri).query else "?"
        return RedirectResponse(f"{self.redirect_uri}{joint}{query}", 303, {"Cache-Control": "no-store"})

    @property
    def mistake(self) -> tuple[str, str] | None:
        """What is wrong with it, in OAuth's word and in a sentence."""
        if self.fields.get("response_type") != "code":
            return "unsupported_response_type", "The response_type is code."
        if not set(self.scope.split()) <= set(self.app.scopes):
            return "invalid_scope", f"This app may ask for {' '.join(self.app.scopes)}."
        if self.fields.get("code_challenge_method", "S256") != "S256":
            return "invalid_request", "The code_challenge_method is S256."
        return None


@router.get("/.well-known/openid-configuration")
def metadata(request: Request) -> dict[str, Any]:
    """Where everything is, for programs."""
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
def keys() -> dict[str, Any]:
    """No public keys: what is signed here is signed with the app's own secret."""
    return {"keys": []}


@pages.get("/oauth/authorize")
def ask(request: Request, state: StateDep) -> Response:
    """The page on which a person lets an app know who they are."""
    asked = _authorization_request(state, dict(request.query_params))
    if asked.mistake is not None:
        return _redirect_with_error(asked, *asked.mistake)
    answer = page(request, "authorize.html", asked=asked)
    # The answer to the form leads to the app, and browsers hold that against the form's own policy too.
    target = urlsplit(asked.redirect_uri)
    policy = answer.headers["Content-Security-Policy"]
    answer.headers["Content-Security-Policy"] = policy.replace(
        "form-action 'self'", f"form-action 'self' {target.scheme}://{target.netloc}"
    )
    return answer


@pages.post("/oauth/authorize", dependencies=[SameSite])
def agree(request: Request, state: StateDep, form: Form) -> Response:
    """Sends the browser back to the app, with a code where the person agreed."""
    asked = _authorization_request(state, form)
    if asked.mistake is not None:
        return _redirect_with_error(asked, *asked.mistake)
    if not form.get("as"):
        return _redirect_with_error(asked, "access_denied", "The person did not agree.")
    code = state.oauth.agree(
        asked.app,
        user_named(request, form["as"]),
        asked.redirect_uri,
        scope=asked.scope,
        nonce=asked.fields.get("nonce", ""),
        challenge=asked.fields.get("code_challenge", ""),
    )
    return asked.back(code=code)


async def _token_form(request: Request) -> dict[str, str]:
    if not request.headers.get("content-type", "").startswith("application/x-www-form-urlencoded"):
        raise refusal("invalid_request", "The body is a form.")
    fields = await request.form(max_files=0, max_fields=50)
    return {name: str(value) for name, value in fields.items()}


@router.post("/oauth/token")
def token(
    request: Request, response: Response, state: StateDep, form: Annotated[dict[str, str], Depends(_token_form)]
) -> dict[str, Any]:
    """A token, and who it is, for a code."""
    response.headers["Cache-Control"] = "no-store"
    app = _app(state, request, form)
    if form.get("grant_type") != "authorization_code":
        raise refusal("unsupported_grant_type", "The grant_type is authorization_code.")
    said = (form.get(name, "") for name in ("code", "redirect_uri", "code_verifier"))
    agreed, secret = state.oauth.exchange(app, *said)
    return {
        "access_token": secret,
        "token_type": "bearer",
        "expires_in": TOKEN_LASTS,
        "scope": agreed.scope,
        "id_token": state.oauth.id_token(agreed, public_url(request)),
    }


@router.get("/oauth/userinfo")
@router.post("/oauth/userinfo", include_in_schema=False)
def userinfo(request: Request, state: StateDep, who: CallerDep) -> dict[str, Any]:
    """Who the owner of a token is, as far as they agreed to."""
    account = access.require_account(who)
    scope = state.oauth.scope_of(request.headers["authorization"].partition(" ")[2].strip())
    if scope is None:
        raise refusal("insufficient_scope", "This token was not made for an app.", status=403)
    return state.oauth.claims(account, scope, public_url(request))


def _authorization_request(state: HubState, said: dict[str, str]) -> AuthorizationRequest:
    """What an app asks for. BadRequest where it is not sure which app that is, or where it would lead."""
    fields = {name: said[name] for name in _FIELDS if said.get(name)}
    if any(len(value) > _LONGEST for value in fields.values()):
        raise BadRequest("The address of this page is too long.")
    app = state.oauth.app(fields.get("client_id", ""))
    if app is None:
        raise BadRequest("No app with this client_id is known here.")
    redirect = fields.get("redirect_uri", "")
    if not app.may_redirect(redirect):
        raise BadRequest(f"{app.name} may not send you back to this redirect_uri.")
    return AuthorizationRequest(app, redirect, fields.get("scope", "openid profile"), fields)


def _redirect_with_error(asked: AuthorizationRequest, error: str, why: str) -> Response:
    return asked.back(error=error, error_description=why)


def _app(state: HubState, request: Request, form: dict[str, str]) -> RegisteredApp:
    """The app that shows its id and secret, in the header or in the form."""
    shown = _basic(request.headers.get("authorization")) or [(form.get("client_id", ""), form.get("client_secret", ""))]
    for name, secret in shown:
        app = state.oauth.app(name)
        if app is not None and hmac.compare_digest(app.secret.encode(), secret.encode("utf-8", "replace")):
            return app
    raise _unknown_app()


def _basic(header: str | None) -> list[tuple[str, str]] | None:
    """Id and secret as they stand, for so the Hub's guide has it, and as the standard has it: quoted like a form."""
    scheme, _, value = (header or "").partition(" ")
    if scheme.lower() != "basic":
        return None
    try:
        name, _, secret = base64.b64decode(value, validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        raise _unknown_app() from None
    return [(name, secret), (unquote_plus(name), unquote_plus(secret))]


def _unknown_app() -> HubError:
    why = "The app is unknown, or its secret is wrong."
    return refusal("invalid_client", why, status=401, headers={"WWW-Authenticate": "Basic"})


router.include_router(pages)
