"""The info of one repo, at main or at a revision, and lists of the repos that the caller may see."""

from __future__ import annotations

from functools import partial
from typing import Annotated, Any, Literal

from fastapi import Query, Request, Response
from fastapi.responses import JSONResponse

from localhub.errors import BadRequest, RepoMoved, RepoNotFound
from localhub.http.paging import next_link
from localhub.http.routing import HubRouter, RepoKind
from localhub.json_values import JsonObject
from localhub.repos.facts import RepoFacts
from localhub.repos.info import check_expand, info
from localhub.repos.lfs_store import LfsStore
from localhub.repos.records import Repo
from localhub.routes.dependencies import CallerDep, Name, Readable, Rev, StateDep, public_url, type_of
from localhub.state import HubState

router = HubRouter(tags=["info"])

Security = Annotated[bool, Query(alias="securityStatus")]
Expand = Annotated[list[str] | None, Query(description="Only these fields")]

_BRIEF = ("author", "createdAt", "lastModified", "likes", "private", "sha", "tags")
Sort = Literal["createdAt", "lastModified", "downloads", "likes", "trendingScore"]


@router.get("/api/{kind:kind}/{ns}/{name}")
def of_main(
    repo: Readable, state: StateDep, expand: Expand = None, blobs: bool = False, security: Security = False
) -> Any:
    """The info at main."""
    return _answer(state, repo, repo.git.head(), expand, blobs=blobs, security=security)


@router.get("/api/{kind:kind}/{ns}/{name}/revision/{rev:seg}")
def of_revision(
    repo: Readable, state: StateDep, rev: Rev, expand: Expand = None, blobs: bool = False, security: Security = False
) -> Any:
    """The info at a revision: `sha`, files and card are those of that revision."""
    return _answer(state, repo, repo.git.resolve(rev), expand, blobs=blobs, security=security)


@router.get("/api/{kind:kind}/{name}")
def without_owner(state: StateDep, caller: CallerDep, kind: RepoKind, name: Name) -> None:
    """Redirect a name without an owner, as the first repos had: it can only be a former name."""
    repo = state.repos.moved(type_of(kind), name)
    if repo is None or not state.access.allows(caller, repo, "read"):
        raise RepoNotFound
    raise RepoMoved(name, repo.full_name)


@router.get("/api/{kind:kind}/{name}/{operation:operation}/{rest:rest}")
@router.post("/api/{kind:kind}/{name}/{operation:operation}/{rest:rest}")
@router.delete("/api/{kind:kind}/{name}/{operation:operation}/{rest:rest}")
def of_repo_without_owner(state: StateDep, caller: CallerDep, kind: RepoKind, name: Name) -> None:
    """Answer a call about a repo whose name has no owner: a redirect for a former name, else `RepoNotFound`."""
    without_owner(state, caller, kind, name)


def _answer(
    state: HubState, repo: Repo, commit: str | None, expand: list[str] | None, *, blobs: bool, security: bool
) -> JSONResponse:
    if expand and (blobs or security):
        raise BadRequest("expand cannot be combined with blobs or securityStatus: it says which fields you get.")
    check_expand(repo.type, expand or ())
    fields = info(
        state.repos,
        state.lfs,
        state.spaces,
        repo,
        commit,
        expand=expand or (),
        blobs=blobs,
        security=security,
        eval_results=partial(state.eval_results.of_model, repo, commit),
    )
    # A response object: FastAPI would validate a hundred thousand siblings again.
    return JSONResponse(fields)


@router.get("/api/{kind:kind}")
def repos(
    request: Request,
    state: StateDep,
    caller: CallerDep,
    kind: RepoKind,
    search: Annotated[str | None, Query(max_length=200)] = None,
    author: Annotated[str | None, Query(max_length=200)] = None,
    filter: Annotated[list[str] | None, Query(max_length=50)] = None,
    sort: Sort = "trendingScore",
    limit: Annotated[int, Query(ge=1, le=1000)] = 1000,
    cursor: Annotated[int, Query(ge=0, le=100_000_000)] = 0,
    full: bool = False,
    expand: Annotated[list[str] | None, Query()] = None,
) -> Response:
    """One page of the list, newest first unless sorted otherwise."""
    repo_type = type_of(kind)
    check_expand(repo_type, expand or ())
    visible = [repo for repo in state.repos.all(repo_type, author) if state.access.allows(caller, repo, "read")]
    matching = [repo for repo in visible if (search or "").lower() in repo.full_name.lower()]
    matching = [repo for repo in matching if set(filter or ()) <= set(_tags(repo, state.lfs) if filter else ())]
    matching.sort(key=lambda repo: _rank(repo, sort), reverse=True)
    headers = {}
    if cursor + limit < len(matching):
        headers["Link"] = next_link(request, public_url(request), cursor=str(cursor + limit))
    brief = [*_BRIEF, *(("siblings",) if full else ()), *(("downloads", "gated") if repo_type != "space" else ("sdk",))]
    fields = expand or brief
    page = [_listed(state, repo, fields) for repo in matching[cursor : cursor + limit]]
    return JSONResponse(page, headers=headers)


def _listed(state: HubState, repo: Repo, fields: list[str]) -> JsonObject:
    head = repo.git.head()
    scores = partial(state.eval_results.of_model, repo, head)
    return info(state.repos, state.lfs, state.spaces, repo, head, expand=fields, eval_results=scores)


def _tags(repo: Repo, lfs: LfsStore) -> list[str]:
    return RepoFacts(repo, repo.git.head(), lfs).tags


def _rank(repo: Repo, sort: Sort) -> float:
    if sort in ("downloads", "likes"):
        return float(repo.downloads if sort == "downloads" else repo.likes)
    return (repo.updated_at if sort == "lastModified" else repo.created_at).timestamp()
