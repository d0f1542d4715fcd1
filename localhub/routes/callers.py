"""The caller of a request, and the state of the Hub that the request came to."""

from __future__ import annotations

import base64
import binascii

from starlette.requests import Request

from localhub.accounts.store import Caller
from localhub.errors import HubError, Unauthorized
from localhub.state import HubState

STATE_KEY = "localhub.state"
"""Key in the scope of a call: the state that the call is served from."""

COOKIE = "localhub_account"
"""Names the account that pages act for. The cookie proves nothing, as the login page says."""

_CHALLENGE = {"WWW-Authenticate": 'Basic realm="Authentication required", charset="UTF-8"'}


class PasswordRequired(HubError):
    """401 with a challenge: git sends its password only after one."""

    def __init__(self, message: str) -> None:
        super().__init__(401, message, "RepoNotFound", _CHALLENGE)


def state_of(request: Request) -> HubState:
    """The state that the request is served from."""
    state: HubState = request.scope[STATE_KEY]
    return state


def request_caller(request: Request) -> Caller:
    """The caller by the token in `Authorization`: Bearer, or the password of Basic, as git sends it.

    Raises `Unauthorized` for an unknown token.
    """
    secret = _secret(request.headers.get("authorization"))
    if secret is None:
        return Caller()
    caller = state_of(request).accounts.by_token(secret)
    if caller is None:
        raise Unauthorized("Invalid credentials in Authorization header")
    if caller.account:
        request.state.account = caller.account.name
    return caller


def page_caller(request: Request) -> Caller:
    """The viewer of a page: the account that the cookie names, else the caller by token."""
    name = request.cookies.get(COOKIE)
    account = state_of(request).accounts.by_name(name) if name else None
    if account is None or account.kind != "user":
        return request_caller(request)
    request.state.account = account.name
    return Caller(account)


def git_caller(request: Request) -> Caller:
    """The caller by the token as password; `PasswordRequired` for an unknown token."""
    try:
        return request_caller(request)
    except Unauthorized as error:
        raise PasswordRequired(error.message) from error


def _secret(header: str | None) -> str | None:
    """The token in an `Authorization` header; None without a header."""
    if not header:
        return None
    scheme, _, value = header.partition(" ")
    if scheme.lower() == "bearer":
        return value.strip()
    if scheme.lower() == "basic":
        return _basic_password(value)
    raise Unauthorized("Invalid credentials in Authorization header")


def _basic_password(value: str) -> str | None:
    try:
        user, _, password = base64.b64decode(value, validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError) as error:
        raise Unauthorized("Invalid credentials in Authorization header") from error
    # git asks with an empty password first if a URL carries the token as the user name.
    return password or user or None
