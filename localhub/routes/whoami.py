"""The caller's account, users, organisations and their members."""

from __future__ import annotations

from typing import Annotated, Any, cast

from fastapi import Path, Query, Request, Response

from localhub.accounts.store import Account, Caller, Token, TokenScope
from localhub.clock import iso
from localhub.errors import HubError
from localhub.http.paging import link_next
from localhub.http.routing import HubRouter
from localhub.json_values import JsonObject
from localhub.repos.records import RepoType
from localhub.routes.dependencies import CallerDep, StateDep, public_url
from localhub.state import HubState

router = HubRouter(tags=["accounts"])

AccountName = Annotated[str, Path(max_length=200)]


@router.get("/api/whoami-v2")
def whoami(state: StateDep, caller: CallerDep) -> JsonObject:
    """The caller's account, its organisations, and the rights of its token."""
    account = caller.require_account()
    return {
        "type": account.kind,
        "id": account.id,
        "name": account.name,
        "fullname": account.fullname,
        "email": account.email,
        "emailVerified": account.email is not None,
        "canPay": account.can_pay,
        "periodEnd": None,
        "isPro": account.is_pro,
        "avatarUrl": account.avatar_url,
        "orgs": [_org(org, role) for org, role in state.accounts.orgs(account)],
        "auth": {"type": "access_token", "accessToken": _token(state, caller)},
    }


@router.get("/api/users/{user}/overview")
def user_overview(state: StateDep, user: AccountName) -> JsonObject:
    """A user's public profile."""
    account = named_account(state, user, "user")
    orgs = [
        {"id": org.id, "name": org.name, "fullname": org.fullname, "avatarUrl": org.avatar_url}
        for org, _ in state.accounts.orgs(account)
    ]
    zeros = dict.fromkeys(("numDiscussions", "numPapers", "numUpvotes", "numFollowing", "numFollowers"), 0)
    more = {
        "createdAt": iso(account.created_at),
        "details": "",
        "isFollowing": False,
        "orgs": orgs,
        "numLikes": len(state.likes.of_user(account)),
    }
    return {**account_fields(account), **more, **_repo_counts(state, account), **zeros}


@router.get("/api/organizations/{org}/overview")
def org_overview(state: StateDep, org: AccountName) -> JsonObject:
    """An organisation's public profile."""
    account = named_account(state, org, "org")
    return {
        "_id": account.id,
        "name": account.name,
        "fullname": account.fullname,
        "avatarUrl": account.avatar_url,
        "type": "org",
        "details": "",
        "isVerified": False,
        "isFollowing": False,
        "plan": account.plan,
        "numUsers": len(state.accounts.members(account)),
        "numFollowers": 0,
        "numPapers": 0,
        **_repo_counts(state, account),
    }


@router.get("/api/organizations/{org}/members")
def members(
    request: Request,
    response: Response,
    state: StateDep,
    caller: CallerDep,
    org: AccountName,
    search: str | None = None,
    limit: Annotated[int, Query(ge=10, le=10_000)] = 500,
    cursor: Annotated[int, Query(ge=0, le=1_000_000)] = 0,
) -> list[JsonObject]:
    """One page of the members; only members see roles."""
    account = named_account(state, org, "org")
    is_member = caller.account is not None and state.accounts.role(account.id, caller.account.id) is not None
    matching = [
        (user, role)
        for user, role in state.accounts.members(account)
        if not search or search.lower() in user.name.lower()
    ]
    link_next(request, response, public_url(request), end=cursor + limit, total=len(matching))
    page = matching[cursor : cursor + limit]
    return [account_fields(user) | ({"role": role} if is_member else {}) for user, role in page]


@router.get("/api/users/{name}/followers")
@router.get("/api/users/{name}/following")
@router.get("/api/organizations/{name}/followers")
def followers(state: StateDep, name: AccountName) -> list[JsonObject]:
    """An empty list: accounts have no followers here."""
    if state.accounts.by_name(name) is None:
        raise HubError(404, f"There is no account {name}")
    return []


@router.get("/api/agent-harnesses")
def harnesses() -> JsonObject:
    """The answer to the client's daily call: no coding agent is known here."""
    return {"standardEnvVars": [], "harnesses": {}}


@router.get("/avatars/{name}")
def avatar(name: str) -> Response:
    """A disc whose colour depends on the account's id."""
    hue = sum(map(ord, name)) * 47 % 360
    disc = f'<circle cx="20" cy="20" r="20" fill="hsl({hue},55%,55%)"/>'
    image = f'<svg xmlns="http://www.w3.org/2000/svg" width="40" height="40">{disc}</svg>'
    return Response(image, media_type="image/svg+xml", headers={"Cache-Control": "max-age=86400"})


def named_account(state: HubState, name: str, kind: str | None) -> Account:
    account = state.accounts.by_name(name)
    if account is None or account.kind != kind:
        raise HubError(404, f"There is no {'organization' if kind == 'org' else 'user'} {name}")
    return account


def _org(org: Account, role: str) -> JsonObject:
    optional = {"email": org.email, "plan": org.plan}
    return {
        "type": "org",
        "id": org.id,
        "name": org.name,
        "fullname": org.fullname,
        **{name: value for name, value in optional.items() if value is not None},
        "canPay": org.can_pay,
        "periodEnd": None,
        "avatarUrl": org.avatar_url,
        "roleInOrg": role,
        "isEnterprise": False,
    }


def account_fields(account: Account) -> JsonObject:
    return {
        "_id": account.id,
        "user": account.name,
        "fullname": account.fullname,
        "avatarUrl": account.avatar_url,
        "isPro": account.is_pro,
        "type": account.kind,
    }


def _repo_counts(state: HubState, account: Account) -> dict[str, int]:
    public = [repo.type for repo in state.repos.all(namespace=account.name) if not repo.private]
    return {f"num{kind.capitalize()}s": public.count(kind) for kind in ("model", "dataset", "space")}


def _token(state: HubState, caller: Caller) -> JsonObject:
    token = caller.token
    if token is None:
        return {}
    fields: dict[str, Any] = {"displayName": token.name, "role": token.role, "createdAt": iso(token.created_at)}
    if token.role == "fineGrained":
        fields["fineGrained"] = _fine_grained(state, token)
    return fields


def _fine_grained(state: HubState, token: Token) -> JsonObject:
    scoped = [{"entity": _entity(state, scope), "permissions": sorted(scope.permissions)} for scope in token.scoped]
    return {"canReadGatedRepos": token.reads_gated, "global": sorted(token.global_permissions), "scoped": scoped}


def _entity(state: HubState, scope: TokenScope) -> JsonObject:
    if scope.entity_type in ("user", "org"):
        account = state.accounts.by_name(scope.entity_name)
        entity_id = account.id if account else None
    else:
        repo = state.repos.get(cast("RepoType", scope.entity_type), scope.entity_name)
        entity_id = repo.oid if repo else None
    return {"_id": entity_id, "name": scope.entity_name, "type": scope.entity_type}
