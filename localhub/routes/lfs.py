"""LFS: the batch call, and the storage that its signed addresses lead to.

A client uploads a small object in one PUT, a large one in parts, each acknowledged by an ETag; then it asks to join
them.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any, Literal

from fastapi import Path, Request, Response
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field
from starlette.concurrency import run_in_threadpool

from localhub.errors import BadRequest, EntryNotFound, HubError
from localhub.http.file_responses import send_file
from localhub.http.routing import HubRouter, RepoKind
from localhub.ids import new_id
from localhub.repos.lfs_store import LfsUpload
from localhub.repos.records import Repo
from localhub.routes.callers import git_caller
from localhub.routes.dependencies import Name, Namespace, StateDep, public_url, type_of
from localhub.state import HubState

router = HubRouter(tags=["lfs"])

MEDIA_TYPE = "application/vnd.git-lfs+json"
PART_BYTES = 64 << 20
"""Bytes of a part; larger objects are uploaded in parts."""

Oid = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
Sha = Annotated[str, Path(pattern=r"^[0-9a-f]{64}$")]
RepoId = Annotated[str, Path(pattern=r"^[0-9a-f]{24}$")]


class LfsObject(BaseModel):
    """An object by its hash and size."""

    oid: Oid
    size: int = Field(ge=0, le=500 << 30)


class LfsBatch(BaseModel):
    """The objects to upload or download."""

    operation: Literal["upload", "download"]
    transfers: list[str] = Field(default_factory=lambda: ["basic"])
    objects: list[LfsObject] = Field(max_length=1000)
    hash_algo: Literal["sha256"] = "sha256"


class UploadedPart(BaseModel):
    """An uploaded part."""

    part_number: int = Field(alias="partNumber", ge=1, le=100_000)
    etag: str


class MultipartCompletion(BaseModel):
    """An object with all its parts."""

    oid: Oid
    parts: list[UploadedPart] = Field(min_length=1, max_length=100_000)


class _Lfs(JSONResponse):
    media_type = MEDIA_TYPE


@router.post("/{prefix:prefix}{ns}/{name}.git/info/lfs/objects/batch")
def batch(request: Request, state: StateDep, prefix: RepoKind, ns: Namespace, name: Name, body: LfsBatch) -> Response:
    """The address to upload or download each object; no `actions` for an object that the repo already holds."""
    caller = git_caller(request)
    if body.operation == "upload":
        repo = state.access.repo(type_of(prefix), f"{ns}/{name}", caller, "discuss")
        # Without write access a caller may upload what its pull request needs; until then nothing refers to the object.
        planned = [_upload(state, repo, object_, body.transfers, public_url(request)) for object_ in body.objects]
    else:
        repo = state.access.repo(type_of(prefix), f"{ns}/{name}", caller)
        state.access.require_content_access(caller, repo)
        planned = [_download(state, repo, object_, public_url(request)) for object_ in body.objects]
    parts = any("chunk_size" in item.get("actions", {}).get("upload", {}).get("header", {}) for item in planned)
    return _Lfs({"transfer": "multipart" if parts else "basic", "objects": planned, "hash_algo": "sha256"})


@router.post("/{prefix:prefix}{ns}/{name}.git/info/lfs/verify")
def verify(request: Request, state: StateDep, prefix: RepoKind, ns: Namespace, name: Name, body: LfsObject) -> Response:
    """Confirm that an object is uploaded; 404 if it is missing or of another size."""
    repo = state.access.repo(type_of(prefix), f"{ns}/{name}", git_caller(request))
    if state.lfs.size(repo.oid, body.oid) != body.size:
        raise HubError(404, f"The object {body.oid} has not been uploaded.")
    return _Lfs({})


@router.put("/lfs-storage/{repo_id}/{sha}")
async def put(request: Request, state: StateDep, repo_id: RepoId, sha: Sha) -> Response:
    """Receive an object, or a part of one."""
    query = dict(request.query_params)
    state.lfs.check("put", repo_id, sha, query)
    size, part = int(query["size"]), query.get("part")
    upload = state.lfs.begin(f"{query['upload']}-{part}" if part else None)
    try:
        await _receive(request, upload, size)
        if part is None:
            await run_in_threadpool(state.lfs.keep, repo_id, upload, sha, size)
            return Response(headers={"ETag": f'"{sha}"'})
        etag = upload.close()
    except BaseException:
        upload.abandon()
        raise
    return Response(headers={"ETag": f'"{etag}"'})


@router.post("/lfs-storage/{repo_id}/{sha}")
def join(request: Request, state: StateDep, repo_id: RepoId, sha: Sha, body: MultipartCompletion) -> Response:
    """Join an object from its parts."""
    query = dict(request.query_params)
    state.lfs.check("join", repo_id, sha, query)
    count, upload = int(query["parts"]), query["upload"]
    if body.oid != sha or sorted(part.part_number for part in body.parts) != list(range(1, count + 1)):
        raise BadRequest(f"{sha} has {count} parts; name each of them once.")
    state.lfs.join(repo_id, (f"{upload}-{number}" for number in range(1, count + 1)), sha, int(query["size"]))
    return _Lfs({})


@router.get("/lfs-storage/{repo_id}/{sha}")
@router.head("/lfs-storage/{repo_id}/{sha}")
def get(request: Request, state: StateDep, repo_id: RepoId, sha: Sha) -> Response:
    """Send an object; its signed address is the proof of access."""
    query = dict(request.query_params)
    state.lfs.check("get", repo_id, sha, query)
    path = state.lfs.path(sha)
    if state.lfs.size(repo_id, sha) is None or not path.exists():
        raise EntryNotFound(sha)
    headers = {"X-Repo-Commit": query["commit"]} if "commit" in query else {}
    return send_file(request, path, sha, query.get("name", sha), headers)


async def _receive(request: Request, upload: LfsUpload, size: int) -> None:
    async for chunk in request.stream():
        if upload.size + len(chunk) > size:
            raise BadRequest(f"More than the announced {size} bytes arrived.")
        await run_in_threadpool(upload.write, chunk)


def _upload(state: HubState, repo: Repo, object_: LfsObject, transfers: list[str], base: str) -> dict[str, Any]:
    item: dict[str, Any] = {"oid": object_.oid, "size": object_.size}
    if state.lfs.size(repo.oid, object_.oid) == object_.size:
        return item
    upload = _in_parts if object_.size > PART_BYTES and "multipart" in transfers else _at_once
    verify = {"href": f"{base}{repo.web_path}.git/info/lfs/verify"}
    return {**item, "authenticated": True, "actions": {"upload": upload(state, repo, object_, base), "verify": verify}}


def _at_once(state: HubState, repo: Repo, object_: LfsObject, base: str) -> dict[str, Any]:
    return {"href": base + state.lfs.address("put", repo.oid, object_.oid, size=str(object_.size))}


def _in_parts(state: HubState, repo: Repo, object_: LfsObject, base: str) -> dict[str, Any]:
    upload, sizes = new_id(), list(_part_sizes(object_.size))
    header = {"chunk_size": str(PART_BYTES)}
    for number, size in enumerate(sizes, 1):
        query = {"size": str(size), "part": str(number), "upload": upload}
        header[str(number)] = base + state.lfs.address("put", repo.oid, object_.oid, **query)
    query = {"size": str(object_.size), "parts": str(len(sizes)), "upload": upload}
    return {"href": base + state.lfs.address("join", repo.oid, object_.oid, **query), "header": header}


def _part_sizes(size: int) -> Iterator[int]:
    for start in range(0, size, PART_BYTES):
        yield min(PART_BYTES, size - start)


def _download(state: HubState, repo: Repo, object_: LfsObject, base: str) -> dict[str, Any]:
    size = state.lfs.size(repo.oid, object_.oid)
    if size is None:
        error = {"code": 404, "message": f"{repo.full_name} has no object {object_.oid}"}
        return {"oid": object_.oid, "size": object_.size, "error": error}
    href = base + state.lfs.address("get", repo.oid, object_.oid)
    return {"oid": object_.oid, "size": size, "authenticated": True, "actions": {"download": {"href": href}}}
