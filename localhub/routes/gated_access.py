"""Gated repos: requests for access, and decisions about them."""

from __future__ import annotations

import sqlite3
from datetime import UTC, datetime
from typing import Literal

from pydantic import BaseModel, Field

from localhub.accounts.store import Account
from localhub.clock import iso
from localhub.errors import BadRequest, HubError
from localhub.http.routing import HubRouter, RepoKind
from localhub.json_values import JsonObject
from localhub.repos.grants import Grant
from localhub.repos.records import Repo
from localhub.routes.dependencies import CallerDep, Name, Namespace, Owned, StateDep, type_of
from localhub.state import HubState

router = HubRouter(tags=["gate"])


class AccessGrantBody(BaseModel):
    """The user to give access to."""

    user: str = Field(min_length=1, max_length=200)


class AccessDecision(BaseModel):
    """The decision about a request, named by its user or its id."""

    user: str | None = Field(None, max_length=200)
    request_id: str | None = Field(None, alias="requestId", max_length=50)
    status: Grant
    reason: str | None = Field(None, alias="rejectionReason", max_length=200)


@router.post("/{prefix:prefix}{ns}/{name}/ask-access")
def request_access(state: StateDep, caller: CallerDep, prefix: RepoKind, ns: Namespace, name: Name) -> JsonObject:
    """Request access; an `auto` repo accepts every request."""
    repo = state.access.repo(type_of(prefix), f"{ns}/{name}", caller, "discuss")
    account = caller.require_account()
    if not repo.gated:
        raise BadRequest(f"{repo.full_name} is not gated: everybody may read it.")
    if state.grants.status(repo, account) is None:
        state.grants.set(repo, account, "accepted" if repo.gated == "auto" else "pending")
    return {"status": state.grants.status(repo, account)}


@router.get("/api/{kind:kind}/{ns}/{name}/user-access-request/{status}")
def list_access_requests(
    repo: Owned, state: StateDep, status: Literal["pending", "accepted", "rejected"]
) -> list[JsonObject]:
    """The requests of that status."""
    requests = [(row, state.accounts.by_id(row["user"])) for row in state.grants.all(_gated(repo), status)]
    return [_request(row, account, status) for row, account in requests if account]


@router.post("/api/{kind:kind}/{ns}/{name}/user-access-request/handle")
def decide_access(repo: Owned, state: StateDep, body: AccessDecision) -> JsonObject:
    """Accept a request, reject it, or make it pending again."""
    account = _requester(state, _gated(repo), body)
    if state.grants.status(repo, account) == body.status:
        raise HubError(404, f"The request of {account.name} is {body.status} already.")
    state.grants.set(repo, account, body.status)
    return {}


@router.post("/api/{kind:kind}/{ns}/{name}/user-access-request/grant")
def grant_access(repo: Owned, state: StateDep, body: AccessGrantBody) -> JsonObject:
    """Give access to a user without a request."""
    account = _user(state, body.user)
    if state.grants.status(_gated(repo), account) == "accepted":
        raise BadRequest(f"{account.name} has access to {repo.full_name} already.")
    state.grants.set(repo, account, "accepted")
    return {}


def _gated(repo: Repo) -> Repo:
    if not repo.gated:
        raise BadRequest(f"{repo.full_name} is not gated.")
    return repo


def _user(state: HubState, name: str) -> Account:
    account = state.accounts.by_name(name)
    if account is None or account.kind != "user":
        raise HubError(404, f"There is no user {name}")
    return account


def _requester(state: HubState, repo: Repo, body: AccessDecision) -> Account:
    statuses: tuple[Grant, ...] = ("pending", "accepted", "rejected")
    rows = [row for status in statuses for row in state.grants.all(repo, status)]
    user_id = _user(state, body.user).id if body.user else None
    for row in rows:
        account = state.accounts.by_id(row["user"])
        if account and (row["id"] == body.request_id or row["user"] == user_id):
            return account
    raise HubError(404, "There is no such request for access.")


def _request(row: sqlite3.Row, account: Account, status: str) -> JsonObject:
    user: JsonObject = {
        "_id": account.id,
        "user": account.name,
        "fullname": account.fullname,
        "avatarUrl": account.avatar_url,
        "isPro": account.is_pro,
        "type": account.kind,
        "verifiedOrgNames": [],
        **({"email": account.email} if account.email else {}),
    }
    timestamp = iso(datetime.fromtimestamp(row["at"], UTC))
    return {"requestId": row["id"], "user": user, "status": status, "timestamp": timestamp}
