"""Branches, tags, the log, and squashing a branch."""

from __future__ import annotations

import html
from typing import Annotated, Any

import pygit2
from fastapi import Path, Query, Request, Response
from pydantic import BaseModel, Field

from localhub.accounts.store import Account, Caller
from localhub.clock import iso
from localhub.errors import BadRequest, Forbidden, HubError, RevisionNotFound
from localhub.git import history
from localhub.git.history import CommitInfo
from localhub.git.refs import RefChange
from localhub.git.repository import MAIN
from localhub.http.paging import next_link
from localhub.http.routing import HubRouter
from localhub.json_values import JsonObject
from localhub.repos.events import HubEvent
from localhub.repos.records import Repo
from localhub.repos.store import author_of
from localhub.routes.dependencies import CallerDep, Readable, Rev, StateDep, Writable, public_url
from localhub.state import HubState

router = HubRouter(tags=["refs"])

RefName = Annotated[str, Path(max_length=200)]


class NewBranch(BaseModel):
    """A branch to create at `startingPoint` (by default main), or with `emptyBranch` at an empty commit."""

    starting_point: str | None = Field(None, alias="startingPoint", max_length=400)
    empty_branch: bool = Field(False, alias="emptyBranch")
    overwrite: bool = False


class NewTag(BaseModel):
    """A tag to create, annotated if it has a message."""

    tag: str = Field(min_length=1, max_length=200)
    message: str | None = Field(None, max_length=65_536)


class SquashBody(BaseModel):
    """The message of the squashed commit."""

    message: str | None = Field(None, max_length=500)


@router.get("/api/{kind:kind}/{ns}/{name}/refs")
def refs(repo: Readable, include_prs: bool = False) -> JsonObject:
    """Every ref with its commit."""
    by_group: dict[str, Any] = {"branches": [], "converts": [], "tags": []}
    if include_prs:
        by_group["pullRequests"] = []
    groups = (
        ("refs/heads/", "branches"), ("refs/convert/", "converts"), ("refs/tags/", "tags"), ("refs/pr/", "pullRequests")
    )  # fmt: skip
    for ref, commit in repo.git.refs().items():
        for prefix, group in groups:
            if ref.startswith(prefix) and group in by_group:
                name = ref.removeprefix("refs/" if group == "pullRequests" else prefix)
                by_group[group].append({"name": name, "ref": ref, "targetCommit": commit})
    return by_group


@router.get("/api/{kind:kind}/{ns}/{name}/commits/{rev:seg}")
def commits(
    request: Request,
    response: Response,
    repo: Readable,
    state: StateDep,
    rev: Rev,
    p: Annotated[int, Query(ge=0, le=1_000_000)] = 0,
    limit: Annotated[int, Query(ge=1, le=1000)] = 50,
    expand: Annotated[list[str] | None, Query()] = None,
    expand_list: Annotated[list[str] | None, Query(alias="expand[]")] = None,
) -> list[JsonObject]:
    """One page of the log, newest first; `X-Total-Count` holds the number of commits."""
    head = repo.git.resolve(rev)
    total = history.count(repo.git, head)
    response.headers["X-Total-Count"] = str(total)
    if (p + 1) * limit < total:
        response.headers["Link"] = next_link(request, public_url(request), p=str(p + 1))
    formatted = "formatted" in [*(expand or ()), *(expand_list or ())]
    page = history.log(repo.git, head, skip=p * limit, limit=limit)
    return [_commit(state, info, formatted=formatted) for info in page]


@router.post("/api/{kind:kind}/{ns}/{name}/branch/{branch:seg}")
def create_branch(repo: Writable, state: StateDep, caller: CallerDep, branch: RefName, body: NewBranch) -> JsonObject:
    """Create a branch."""
    ref = _checked_ref(f"refs/heads/{branch.removeprefix('refs/heads/')}")
    account = caller.require_account()
    with repo.git.lock:
        old = repo.git.head(ref)
        if old and not body.overwrite:
            raise HubError(409, f"Reference {ref} already exists")
        start = _empty(state, repo, account) if body.empty_branch else repo.git.resolve(body.starting_point or "main")
        repo.git.update_ref(ref, start, old)
        _note_change(state, repo, account, RefChange(ref, old, start))
    return {}


@router.delete("/api/{kind:kind}/{ns}/{name}/branch/{branch:seg}")
def delete_branch(repo: Writable, state: StateDep, caller: CallerDep, branch: RefName) -> JsonObject:
    """Delete a branch; main cannot be deleted."""
    ref = f"refs/heads/{branch.removeprefix('refs/heads/')}"
    if ref == MAIN:
        raise Forbidden(f"Cannot delete {ref}")
    _delete(state, repo, caller.require_account(), ref)
    return {}


@router.post("/api/{kind:kind}/{ns}/{name}/tag/{rev:seg}")
def create_tag(repo: Writable, state: StateDep, caller: CallerDep, rev: Rev, body: NewTag) -> JsonObject:
    """Create a tag."""
    account = caller.require_account()
    with repo.git.lock:
        commit = repo.git.resolve(rev)
        ref = _checked_ref(f"refs/tags/{body.tag}")
        repo.git.tag(body.tag, commit, body.message, author_of(account), state.clock.seconds())
        _note_change(state, repo, account, RefChange(ref, None, commit))
    return {}


@router.delete("/api/{kind:kind}/{ns}/{name}/tag/{tag:seg}")
def delete_tag(repo: Writable, state: StateDep, caller: CallerDep, tag: RefName) -> JsonObject:
    """Delete a tag."""
    _delete(state, repo, caller.require_account(), f"refs/tags/{tag}")
    return {}


@router.post("/api/{kind:kind}/{ns}/{name}/super-squash/{branch:seg}")
def super_squash(
    repo: Readable, state: StateDep, caller: CallerDep, branch: RefName, body: SquashBody | None = None
) -> JsonObject:
    """Replace a branch's history by one commit with the same content."""
    ref = branch_ref(branch)
    check_push(state, caller, repo, ref)
    account = caller.require_account()
    message = (body.message if body else None) or f"Super-squash branch '{branch}'"
    with repo.git.lock:
        old = repo.git.head(ref)
        if old is None:
            raise _not_a_branch(repo, branch)
        tree = repo.git.tree(old)
        when = state.clock.seconds()
        new = repo.git.commit_tree(ref, tree, [], author_of(account), message, expected=old, when=when)
        _note_change(state, repo, account, RefChange(ref, old, new))
    return {"commitId": new}


def branch_ref(name: str) -> str:
    """The full ref of a branch's name; `refs/…` stays as it is."""
    return name if name.startswith("refs/") else f"refs/heads/{name}"


def check_push(state: HubState, caller: Caller, repo: Repo, ref: str) -> None:
    """Raise unless the caller may move the ref: with write access, or as the author of the pull request `refs/pr/N`."""
    number = ref.removeprefix("refs/pr/")
    if number != ref and number.isdecimal() and len(number) < 10:
        state.threads.check_push(repo, caller, int(number))
    else:
        state.access.require_access(caller, repo, "write")


def _not_a_branch(repo: Repo, name: str) -> HubError:
    """The error for a revision that is not a branch; raises `RevisionNotFound` if `name` is not a revision."""
    repo.git.resolve(name)
    return BadRequest(f"{name} is not a branch: only branches and pull requests can be squashed.")


def _delete(state: HubState, repo: Repo, account: Account, ref: str) -> None:
    with repo.git.lock:
        old = repo.git.head(ref)
        if old is None:
            raise RevisionNotFound(ref)
        repo.git.delete_ref(ref)
        _note_change(state, repo, account, RefChange(ref, old, None))


def _empty(state: HubState, repo: Repo, account: Account) -> str:
    return repo.git.build(None, [], author_of(account), "Initial commit", when=state.clock.seconds())


def _checked_ref(ref: str) -> str:
    name = ref.split("/", 2)[2]
    if not pygit2.reference_is_valid_name(ref) or name.startswith("-") or name == "HEAD":
        raise BadRequest(f"{ref} is not a valid reference name")
    return ref


def _note_change(state: HubState, repo: Repo, account: Account, change: RefChange) -> None:
    state.repos.touch(repo)
    state.emit(HubEvent("repo.content", "update", repo, account, (change,)))


def _commit(state: HubState, info: CommitInfo, *, formatted: bool) -> JsonObject:
    fields: dict[str, Any] = {
        "id": info.id,
        "title": info.title,
        "message": info.message,
        "authors": [_author(state, name) for name in info.authors],
        "date": iso(info.date),
    }
    if formatted:
        fields["formatted"] = {"title": html.escape(info.title), "message": html.escape(info.message)}
    return fields


def _author(state: HubState, name: str) -> JsonObject:
    account = state.accounts.by_name(name)
    return {"user": account.name, "avatar": account.avatar_url} if account else {"user": name}
