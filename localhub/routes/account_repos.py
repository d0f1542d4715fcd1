"""The repos of an account with the storage that each uses, for the account's settings."""

from __future__ import annotations

from typing import Annotated

from fastapi import Query, Request, Response

from localhub.accounts.store import Account
from localhub.clock import iso
from localhub.errors import Forbidden
from localhub.http.paging import link_next
from localhub.http.routing import HubRouter
from localhub.json_values import JsonObject
from localhub.routes.dependencies import CallerDep, StateDep, public_url
from localhub.routes.whoami import AccountName, named_account
from localhub.state import HubState

router = HubRouter(tags=["accounts"])

Limit = Annotated[int, Query(ge=1, le=1000)]
Cursor = Annotated[int, Query(ge=0, le=100_000_000)]


@router.get("/api/settings/repositories")
def own_repos(
    request: Request, response: Response, state: StateDep, caller: CallerDep, limit: Limit = 1000, cursor: Cursor = 0
) -> list[JsonObject]:
    """One page of the caller's own repos."""
    return _page(request, response, state, caller.require_account(), limit, cursor)


@router.get("/api/organizations/{org}/settings/repositories")
def repos_of_org(
    request: Request,
    response: Response,
    state: StateDep,
    caller: CallerDep,
    org: AccountName,
    limit: Limit = 1000,
    cursor: Cursor = 0,
) -> list[JsonObject]:
    """One page of an organisation's repos, for its members."""
    account = named_account(state, org, "org")
    if state.accounts.role(account.id, caller.require_account().id) is None:
        raise Forbidden(f"Only members of {account.name} can list its repositories.")
    return _page(request, response, state, account, limit, cursor)


def _page(
    request: Request, response: Response, state: HubState, owner: Account, limit: int, cursor: int
) -> list[JsonObject]:
    repos = state.repos.all(namespace=owner.name)
    link_next(request, response, public_url(request), end=cursor + limit, total=len(repos))
    storage = {repo.oid: sum(size for _, _, size, _ in state.lfs.objects(repo.oid)) for repo in repos}
    total = sum(storage.values())
    return [
        {
            "id": repo.full_name,
            "type": repo.type,
            "updatedAt": iso(repo.updated_at),
            "visibility": "private" if repo.private else "public",
            "storage": storage[repo.oid],
            "storagePercent": 100 * storage[repo.oid] / total if total else 0,
        }
        for repo in repos[cursor : cursor + limit]
    ]
