"""The LFS objects of a repo: list, delete, share with another repo."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Literal

from fastapi import Path, Query, Request, Response
from pydantic import BaseModel, Field

from localhub.accounts.store import Caller
from localhub.clock import iso
from localhub.errors import HubError
from localhub.git.lfs_pointer import pointer_text
from localhub.git.repository import MAIN
from localhub.git.rewrite import without_blobs
from localhub.http.paging import link_next
from localhub.http.routing import HubRouter
from localhub.json_values import JsonObject
from localhub.repos.events import HubEvent
from localhub.repos.lfs_store import OID
from localhub.repos.records import Repo
from localhub.routes.dependencies import CallerDep, Contents, Owned, StateDep, public_url
from localhub.state import HubState

router = HubRouter(tags=["lfs"])


class CopyTarget(BaseModel):
    """The repo that gets the objects."""

    type: Literal["model", "dataset", "space"]
    name: str = Field(min_length=3, max_length=200)


class CopiedFile(BaseModel):
    """An object to share."""

    sha256: str = Field(max_length=200)
    xet_hash: str = Field(alias="xetHash", max_length=200)
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
    """One page of the objects, newest first, with the path and the ref that have it: main, or else the first other."""
    objects = state.lfs.objects(repo.oid)
    link_next(request, response, public_url(request), end=cursor + limit, total=len(objects))
    page = objects[cursor : cursor + limit]
    places = _places(repo, {sha256 for sha256, *_ in page})
    return [
        {
            "fileOid": sha256,
            "filename": places[sha256][1] if sha256 in places else "",
            "oid": id,
            "pushedAt": iso(datetime.fromtimestamp(at, UTC)),
            "ref": places[sha256][0] if sha256 in places else None,
            "size": size,
        }
        for sha256, id, size, at in page
    ]


@router.delete("/api/{kind:kind}/{ns}/{name}/lfs-files/{sha}")
def delete(
    repo: Owned,
    state: StateDep,
    caller: CallerDep,
    sha: Annotated[str, Path(max_length=100)],
    rewrite_history: Annotated[bool, Query(alias="rewriteHistory")] = True,
) -> JsonObject:
    """Delete an object for good; with `rewriteHistory` also the files that point to it."""
    _delete(state, repo, caller, [sha], rewrite_history=rewrite_history)
    return {}


@router.post("/api/{kind:kind}/{ns}/{name}/lfs-files/batch")
def delete_several(repo: Owned, state: StateDep, caller: CallerDep, body: LfsFilesBatch) -> JsonObject:
    """Delete objects; with `rewriteHistory` also the files that point to them, from every commit of every branch."""
    _delete(state, repo, caller, body.deletions.sha, rewrite_history=body.deletions.rewrite_history)
    return {}


def _delete(state: HubState, repo: Repo, caller: Caller, shas: list[str], *, rewrite_history: bool) -> None:
    account = caller.require_account()
    sizes = {sha: _size(state, repo, sha) for sha in shas}
    if rewrite_history:
        pointers = [pointer_text(sha, size) for sha, size in sizes.items()]
        with repo.git.lock:
            moved = without_blobs(repo.git, pointers)
            if moved:
                state.repos.touch(repo)
                state.emit(HubEvent("repo.content", "update", repo, account, tuple(moved)))
    for sha in sizes:
        state.lfs.unlink(repo.oid, sha)


@router.post("/api/{kind:kind}/{ns}/{name}/lfs-files/duplicate")
def duplicate(
    response: Response, repo: Contents, state: StateDep, caller: CallerDep, body: DuplicateBody
) -> JsonObject:
    """Add objects to another repo; the answer counts them, and lists the failed ones with status 207."""
    target = state.access.repo(body.target.type, body.target.name, caller, "discuss")
    failed = []
    for file in body.files:
        size = state.lfs.size(repo.oid, file.sha256)
        if size is None:
            error = f"{repo.full_name} does not hold this file"
            failed.append({"xetHash": file.xet_hash, "sha256": file.sha256, "error": error})
        else:
            state.lfs.link(target.oid, file.sha256, size)
    if failed:
        response.status_code = 207
    done = len(body.files) - len(failed)
    return {"success": not failed, "processed": len(body.files), "succeeded": done, "failed": failed}


def _size(state: HubState, repo: Repo, sha: str) -> int:
    size = state.lfs.size(repo.oid, sha) if OID.fullmatch(sha) else None
    if size is None:
        raise HubError(404, f"{repo.full_name} has no large file {sha}")
    return size


def _places(repo: Repo, wanted: set[str]) -> dict[str, tuple[str, str]]:
    """SHA-256 → ref and path of an object, for those of `wanted` that a ref has now; main comes first."""
    places: dict[str, tuple[str, str]] = {}
    refs = repo.git.refs()
    for ref in sorted(refs, key=lambda name: (name != MAIN, name)):
        entries = repo.git.entries(refs[ref], recursive=True)
        files = {entry.path: entry.oid for entry in entries if entry.type == "file"}
        facts = repo.git.facts(files.values())
        for path, oid in files.items():
            pointer = facts[oid].pointer
            if pointer and pointer.sha256 in wanted:
                places.setdefault(pointer.sha256, (ref, path))
        if places.keys() == wanted:
            break
    return places
