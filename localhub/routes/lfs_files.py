"""The LFS objects of a repo: list, delete, share with another repo."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Literal

from fastapi import APIRouter, Path, Query, Request, Response
from pydantic import BaseModel, Field

from localhub.clock import iso
from localhub.errors import HubError
from localhub.git.lfs_pointer import pointer_text
from localhub.git.rewrite import without_blobs
from localhub.http.paging import next_link
from localhub.json_values import JsonObject
from localhub.repos.events import HubEvent
from localhub.repos.lfs_store import OID
from localhub.repos.records import Repo
from localhub.routes.dependencies import CallerDep, Contents, Owned, StateDep, public_url
from localhub.state import HubState

router = APIRouter(tags=["lfs"])


class CopyTarget(BaseModel):
    """The repo that gets the objects."""

    type: Literal["model", "dataset", "space"]
    name: str = Field(min_length=3, max_length=200)


class CopiedFile(BaseModel):
    """An object to share."""

    sha256: str = Field(max_length=200)
    xet_hash: str | None = Field(None, alias="xetHash")
    filename: str | None = None


class DuplicateBody(BaseModel):
    """Objects that another repo is to hold too."""

    target: CopyTarget
    files: list[CopiedFile] = Field(max_length=10_000)


class LfsDeletions(BaseModel):
    """The objects to delete."""

    sha: list[str] = Field(max_length=10_000)
    rewrite_history: bool = Field(False, alias="rewriteHistory")


class LfsFilesBatch(BaseModel):
    """Changes of several objects."""

    deletions: LfsDeletions


@router.get("/api/{kind:kind}/{ns}/{name}/lfs-files")
def lfs_files(
    request: Request,
    response: Response,
    repo: Owned,
    state: StateDep,
    limit: Annotated[int, Query(ge=1, le=1000)] = 1000,
    cursor: Annotated[int, Query(ge=0, le=100_000_000)] = 0,
) -> list[JsonObject]:
    """One page of the objects, newest first; `filename` is the object's path on main."""
    objects = state.lfs.objects(repo.oid)
    if cursor + limit < len(objects):
        response.headers["Link"] = next_link(request, public_url(request), cursor=str(cursor + limit))
    names = _names(repo)
    return [
        {
            "fileOid": sha256,
            "filename": names.get(sha256, ""),
            "oid": id,
            "pushedAt": iso(datetime.fromtimestamp(at, UTC)),
            "ref": "refs/heads/main" if sha256 in names else None,
            "size": size,
        }
        for sha256, id, size, at in objects[cursor : cursor + limit]
    ]


@router.delete("/api/{kind:kind}/{ns}/{name}/lfs-files/{sha}")
def delete(repo: Owned, state: StateDep, sha: Annotated[str, Path(max_length=100)]) -> JsonObject:
    """Delete an object for good; pointers to it stay."""
    _size(state, repo, sha)
    state.lfs.unlink(repo.oid, sha)
    return {}


@router.post("/api/{kind:kind}/{ns}/{name}/lfs-files/batch")
def delete_several(repo: Owned, state: StateDep, caller: CallerDep, body: LfsFilesBatch) -> JsonObject:
    """Delete objects; with `rewriteHistory` also the files that point to them, from every commit of every branch."""
    account = caller.require_account()
    sizes = {sha: _size(state, repo, sha) for sha in body.deletions.sha}
    if body.deletions.rewrite_history:
        pointers = [pointer_text(sha, size) for sha, size in sizes.items()]
        with repo.git.lock:
            moved = without_blobs(repo.git, pointers)
            if moved:
                state.repos.touch(repo)
                state.emit(HubEvent("repo.content", "update", repo, account, tuple(moved)))
    for sha in sizes:
        state.lfs.unlink(repo.oid, sha)
    return {}


@router.post("/api/{kind:kind}/{ns}/{name}/lfs-files/duplicate")
def duplicate(
    response: Response, repo: Contents, state: StateDep, caller: CallerDep, body: DuplicateBody
) -> JsonObject:
    """Add objects to another repo; the answer lists the failed ones, with status 207."""
    target = state.access.repo(body.target.type, body.target.name, caller, "discuss")
    failed = []
    for file in body.files:
        size = state.lfs.size(repo.oid, file.sha256)
        if size is None:
            failed.append({"sha256": file.sha256, "error": f"{repo.full_name} does not hold this file"})
        else:
            state.lfs.link(target.oid, file.sha256, size)
    if failed:
        response.status_code = 207
    failed_ids = {item["sha256"] for item in failed}
    done = [{"sha256": file.sha256} for file in body.files if file.sha256 not in failed_ids]
    return {"success": not failed, "succeeded": done, "failed": failed}


def _size(state: HubState, repo: Repo, sha: str) -> int:
    size = state.lfs.size(repo.oid, sha) if OID.fullmatch(sha) else None
    if size is None:
        raise HubError(404, f"{repo.full_name} has no large file {sha}")
    return size


def _names(repo: Repo) -> dict[str, str]:
    """SHA-256 → path of the object on main."""
    head = repo.git.head()
    entries = repo.git.entries(head, recursive=True) if head else []
    files = {entry.path: entry.oid for entry in entries if entry.type == "file"}
    facts = repo.git.facts(files.values())
    return {pointer.sha256: path for path, oid in files.items() if (pointer := facts[oid].pointer)}
