"""Who may do what.

`read`     public repos: everybody; private ones: the owner and the members of the owning organisation
`discuss`  open threads and pull requests, comment: everybody who is logged in and may read
`write`    commit, merge: the owner, members with the role write or admin, contributors on repos that they created
`admin`    settings, rename, delete: as `write` (the Hub gives the write role these too)

A token can only take away from what its account may do. A fine-grained one needs `repo.content.read`, `repo.write` or
`discussion.write` for the repo or its owner, or `discussion.write` everywhere.
"""

from __future__ import annotations

import base64
import binascii
from typing import TYPE_CHECKING, Literal

from starlette.requests import Request

from localhub.accounts.store import Account, Caller, OrgRole, Token
from localhub.errors import Forbidden, GatedRepo, HubError, RepoMoved, RepoNotFound, Unauthorized

if TYPE_CHECKING:
    from localhub.repos.store import Repo, RepoType
    from localhub.state import HubState

AccessLevel = Literal["read", "discuss", "write", "admin"]

STATE_KEY = "localhub.state"
"""Where the scope of a call holds the box that it came to."""

COOKIE = "localhub_account"
"""Names the account that pages act for: no proof of anything, as its login page says."""

_PERMISSION: dict[AccessLevel, frozenset[str]] = {
    "read": frozenset({"repo.content.read", "repo.write"}),
    "discuss": frozenset({"discussion.write"}),
    "write": frozenset({"repo.write"}),
    "admin": frozenset({"repo.write"}),
}


def state_of(request: Request) -> HubState:
    """The box that the request came to."""
    state: HubState = request.scope[STATE_KEY]
    return state


def request_caller(request: Request) -> Caller:
    """Who asks, by the token in `Authorization`: Bearer, or the password of Basic, as git sends it.

    Raises `Unauthorized` for a token that nobody has.
    """
    secret = _secret(request.headers.get("authorization"))
    if secret is None:
        return Caller()
    found = state_of(request).accounts.by_token(secret)
    if found is None:
        raise Unauthorized("Invalid credentials in Authorization header")
    if found.account:
        request.state.account = found.account.name
    return found


def page_caller(request: Request) -> Caller:
    """Who looks at a page: the account named by the cookie, else the token, else nobody."""
    name = request.cookies.get(COOKIE)
    account = state_of(request).accounts.by_name(name) if name else None
    if account is None or account.kind != "user":
        return request_caller(request)
    request.state.account = account.name
    return Caller(account)


def require_account(who: Caller) -> Account:
    """The caller's account; `Unauthorized` where there is none."""
    if who.account is None:
        raise Unauthorized
    return who.account


def repo_for(
    request: Request, repo_type: RepoType, full_name: str, want: AccessLevel = "read", who: Caller | None = None
) -> Repo:
    """The repo of that name, if the caller may do what is wanted.

    Raises `RepoMoved` for a former name, `RepoNotFound` where it is missing or hidden, and what `check` raises.
    """
    state = state_of(request)
    who = who or request_caller(request)
    repo = state.repos.get(repo_type, full_name)
    moved = repo is None
    repo = repo or state.repos.moved(repo_type, full_name)
    if repo is None or not allows(state, who, repo, "read"):
        raise RepoNotFound
    if moved:
        raise RepoMoved(full_name, repo.full_name)
    require_access(state, who, repo, want)
    return repo


def require_access(state: HubState, who: Caller, repo: Repo, want: AccessLevel) -> None:
    """Raises unless the caller may: `Unauthorized` for nobody, `Forbidden` for somebody, 403 for a disabled repo."""
    if repo.disabled and want != "read":
        raise repo_disabled()
    if allows(state, who, repo, want):
        return
    if who.account is None:
        raise Unauthorized
    raise Forbidden(_refusal(who, repo, want))


def require_content_access(state: HubState, who: Caller, repo: Repo) -> None:
    """Raises unless the caller may read the files themselves: `GatedRepo`, or 403 for a disabled repo."""
    if repo.disabled:
        raise repo_disabled()
    if not repo.gated or _has_gated_access(state, who, repo):
        return
    raise GatedRepo(repo.full_name, logged_in=who.account is not None)


def allows(state: HubState, who: Caller, repo: Repo, want: AccessLevel) -> bool:
    """Whether the caller may do that to the repo."""
    return _account_allows(state, who.account, repo, want) and _token_allows(who.token, repo, want)


def role_in(state: HubState, account: Account | None, repo: Repo) -> OrgRole | None:
    """The account's role on the repo: as its owner, or by the owning organisation."""
    if account is None:
        return None
    return "admin" if account.id == repo.owner_id else state.accounts.role(repo.owner_id, account.id)


def repo_disabled() -> HubError:
    """The answer for a disabled repo: the client knows it by these words alone."""
    return HubError(403, "Access to this resource is disabled.")


def may_create_in(state: HubState, who: Caller, namespace: Account) -> bool:
    """Whether the caller may create a repo there: users at home, members with more than the read role."""
    account = who.account
    if account is None or not _token_may_create(who.token, namespace):
        return False
    return account.id == namespace.id or state.accounts.role(namespace.id, account.id) not in (None, "read")


def _account_allows(state: HubState, account: Account | None, repo: Repo, want: AccessLevel) -> bool:
    role = role_in(state, account, repo)
    if want in ("read", "discuss"):
        return (not repo.private or role is not None) and (want == "read" or account is not None)
    if role == "contributor":
        return account is not None and repo.created_by == account.id
    return role in ("admin", "write")


def _token_allows(token: Token | None, repo: Repo, want: AccessLevel) -> bool:
    if token is None or token.role == "write":
        return True
    if want == "read" and (not repo.private or token.role == "read"):
        return True
    if token.role == "read":
        return False
    if want == "discuss" and "discussion.write" in token.global_permissions:
        return True
    return _in_scope(token, repo, _PERMISSION[want])


def _token_may_create(token: Token | None, namespace: Account) -> bool:
    if token is None or token.role != "fineGrained":
        return token is None or token.role == "write"
    return any(
        scope.entity_type in ("user", "org")
        and scope.entity_name.lower() == namespace.name.lower()
        and "repo.write" in scope.permissions
        for scope in token.scoped
    )


def _in_scope(token: Token, repo: Repo, permissions: frozenset[str]) -> bool:
    for scope in token.scoped:
        if scope.entity_type in ("user", "org"):
            covers = scope.entity_name.lower() == repo.namespace.lower()
        else:
            covers = scope.entity_type == repo.type and scope.entity_name.lower() == repo.full_name.lower()
        if covers and scope.permissions & permissions:
            return True
    return False


def _has_gated_access(state: HubState, who: Caller, repo: Repo) -> bool:
    token = who.token
    fine_grained = token is not None and token.role == "fineGrained"
    if token and fine_grained and not token.reads_gated and not _in_scope(token, repo, _PERMISSION["read"]):
        return False
    if role_in(state, who.account, repo) is not None:
        return True
    return who.account is not None and state.grants.of(repo, who.account) == "accepted"


def _refusal(who: Caller, repo: Repo, want: AccessLevel) -> str:
    if who.token and who.token.role == "read":
        return f"This token can only read. Use one with the write role on {repo.full_name}."
    if want == "write":
        return "Forbidden: pass `create_pr=1` as a query parameter to create a Pull Request"
    if who.token and who.token.role == "fineGrained":
        needs = " or ".join(sorted(_PERMISSION[want]))
        return f"This token is not allowed to do that on {repo.full_name}: it needs {needs}."
    return f"You need the write role on {repo.full_name} for that."


def _secret(header: str | None) -> str | None:
    """The token in an `Authorization` header; None where there is no header."""
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
    # git asks with an empty password first where a URL carries the token as the user name.
    return password or user or None
