"""Likes: of a repo, and of a user."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated

from fastapi import Query, Request, Response

from localhub.clock import iso
from localhub.http.paging import link_next
from localhub.http.routing import HubRouter, RepoKind
from localhub.json_values import JsonObject
from localhub.routes.dependencies import CallerDep, Name, Readable, StateDep, public_url
from localhub.routes.repo_info import without_owner
from localhub.routes.whoami import AccountName, account_fields, named_account

router = HubRouter(tags=["likes"])

Limit = Annotated[int, Query(ge=1, le=1000)]
Cursor = Annotated[int, Query(ge=0, le=100_000_000)]


@router.post("/api/{kind:kind}/{ns}/{name}/like")
def like(repo: Readable, state: StateDep, caller: CallerDep) -> None:
    """Like a repo; liking it twice changes nothing."""
    user = caller.require_account()
    state.access.require_access(caller, repo, "discuss")
    state.likes.add(repo, user)


@router.delete("/api/{kind:kind}/{ns}/{name}/like")
def unlike(repo: Readable, state: StateDep, caller: CallerDep) -> None:
    """Take a like back."""
    state.likes.remove(repo, caller.require_account())


@router.delete("/api/{kind:kind}/{name}/like")
def unlike_without_owner(state: StateDep, caller: CallerDep, kind: RepoKind, name: Name) -> None:
    """Redirect a former name without an owner; `RepoNotFound` for any other."""
    without_owner(state, caller, kind, name)


@router.get("/api/{kind:kind}/{ns}/{name}/likers")
def likers(
    request: Request, response: Response, repo: Readable, state: StateDep, limit: Limit = 1000, cursor: Cursor = 0
) -> list[JsonObject]:
    """One page of the users who like a repo, newest first."""
    rows = state.likes.of_repo(repo)
    link_next(request, response, public_url(request), end=cursor + limit, total=len(rows))
    accounts = (state.accounts.by_id(row["user"]) for row in rows[cursor : cursor + limit])
    return [account_fields(account) for account in accounts if account]


@router.get("/api/users/{user}/likes")
def liked_repos(
    request: Request,
    response: Response,
    state: StateDep,
    caller: CallerDep,
    user: AccountName,
    limit: Limit = 1000,
    cursor: Cursor = 0,
) -> list[JsonObject]:
    """One page of the repos that a user likes, newest first, without those that the caller may not see."""
    liked = [
        (repo, row["at"])
        for row in state.likes.of_user(named_account(state, user, "user"))
        if (repo := state.repos.by_oid(row["repo"])) and state.access.allows(caller, repo, "read")
    ]
    link_next(request, response, public_url(request), end=cursor + limit, total=len(liked))
    return [
        {"createdAt": iso(datetime.fromtimestamp(at, UTC)), "repo": {"name": repo.full_name, "type": repo.type}}
        for repo, at in liked[cursor : cursor + limit]
    ]
