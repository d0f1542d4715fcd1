"""The large files of a repo, apart from their paths: list, take away, copy to another repo."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Path, Query, Request, Response
from pydantic import BaseModel, Field

from localhub.clock import iso
from localhub.errors import HubError
from localhub.git.lfs_pointer import pointer_text
from localhub.git.rewrite import without_blobs
from localhub.http.paging import next_link
from localhub.repos import access
from localhub.repos.events import HubEvent
from localhub.repos.lfs_store import OID
from localhub.repos.store import Repo
from localhub.routes.dependencies import CallerDep, Contents, Owned, StateDep, public_url
from localhub.state import HubState

router = APIRouter(tags=["lfs"])


class CopyTarget(BaseModel):
    """Where the copies go."""

    type: Literal["model", "dataset", "space"]
    name: str = Field(min_length=3, max_length=200)


class CopiedFile(BaseModel):
    """What is copied."""

    sha256: str = Field(max_length=200)
    xet_hash: str | None = Field(None, alias="xetHash")
    filename: str | None = None


class DuplicateBody(BaseModel):
    """Large files to be held by another repo as well."""

    target: CopyTarget
    files: list[CopiedFile] = Field(max_length=10_000)


class LfsDeletions(BaseModel):
    """Which objects go."""

    sha: list[str] = Field(max_length=10_000)
    rewrite_history: bool = Field(False, alias="rewriteHistory")


class LfsFilesBatch(BaseModel):
    """Changes of several large files."""

    deletions: LfsDeletions


@router.get("/api/{kind:kind}/{ns}/{name}/lfs-files")
def lfs_files(
    request: Request,
    response: Response,
    repo: Owned,
    state: StateDep,
    limit: Annotated[int, Query(ge=1, le=1000)] = 1000,
    cursor: Annotated[int, Query(ge=0, le=100_000_000)] = 0,
) -> list[dict[str, Any]]:
    """By pages, the newest first; `filename` is where main has it."""
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
def delete(repo: Owned, state: StateDep, sha: Annotated[str, Path(max_length=100)]) -> dict[str, Any]:
    """Takes an object away for good; what points to it points to nothing."""
    _size(state, repo, sha)
    state.lfs.unlink(repo.oid, sha)
    return {}


@router.post("/api/{kind:kind}/{ns}/{name}/lfs-files/batch")
def delete_several(repo: Owned, state: StateDep, who: CallerDep, body: LfsFilesBatch) -> dict[str, Any]:
    """Takes several away; with `rewriteHistory` also the files that named them, out of every commit of every branch."""
    account = access.require_account(who)
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
    request: Request, response: Response, repo: Contents, state: StateDep, who: CallerDep, body: DuplicateBody
) -> dict[str, Any]:
    """Lets another repo hold the same objects; those that fail are named, with 207."""
    target = access.repo_for(request, body.target.type, body.target.name, "discuss", who)
    failed = []
    for file in body.files:
        size = state.lfs.size(repo.oid, file.sha256)
        if size is None:
            failed.append({"sha256": file.sha256, "error": f"{repo.full_name} does not hold this file"})
        else:
            state.lfs.link(target.oid, file.sha256, size)
    if failed:
        response.status_code = 207
    refused = {item["sha256"] for item in failed}
    done = [{"sha256": file.sha256} for file in body.files if file.sha256 not in refused]
    return {"success": not failed, "succeeded": done, "failed": failed}


def _size(state: HubState, repo: Repo, sha: str) -> int:
    size = state.lfs.size(repo.oid, sha) if OID.fullmatch(sha) else None
    if size is None:
        raise HubError(404, f"{repo.full_name} has no large file {sha}")
    return size


def _names(repo: Repo) -> dict[str, str]:
    """By SHA-256 the path at which main has the object."""
    head = repo.git.head()
    entries = repo.git.entries(head, recursive=True) if head else []
    files = {entry.path: entry.oid for entry in entries if entry.type == "file"}
    facts = repo.git.facts(files.values())
    return {pointer.sha256: path for path, oid in files.items() if (pointer := facts[oid].pointer)}
