"""LFS: the batch call, and the storage that its signed addresses lead to.

A small object goes up in one PUT, a large one in parts, each acknowledged by an ETag; then the client asks to
join them.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Path, Request, Response
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field
from starlette.concurrency import run_in_threadpool

from localhub.accounts.store import Caller
from localhub.errors import BadRequest, EntryNotFound, HubError
from localhub.git.upload_pack import git_caller
from localhub.http.file_responses import send_file
from localhub.http.routing import RepoKind
from localhub.ids import new_id
from localhub.repos import access
from localhub.repos.lfs_store import LfsUpload
from localhub.repos.store import Repo
from localhub.routes.dependencies import Name, Namespace, StateDep, public_url, type_of
from localhub.state import HubState

router = APIRouter(tags=["lfs"])

MEDIA_TYPE = "application/vnd.git-lfs+json"
PART = 64 << 20
"""Bytes of a part; objects above that go up in parts."""

Oid = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
Sha = Annotated[str, Path(pattern=r"^[0-9a-f]{64}$")]
RepoId = Annotated[str, Path(pattern=r"^[0-9a-f]{24}$")]


class LfsObject(BaseModel):
    """An object by its hash and size."""

    oid: Oid
    size: int = Field(ge=0, le=500 << 30)


class LfsBatch(BaseModel):
    """What to send or fetch."""

    operation: Literal["upload", "download"]
    transfers: list[str] = Field(default_factory=lambda: ["basic"])
    objects: list[LfsObject] = Field(max_length=1000)
    hash_algo: Literal["sha256"] = "sha256"


class UploadedPart(BaseModel):
    """A part that has arrived."""

    part_number: int = Field(alias="partNumber", ge=1, le=100_000)
    etag: str


class MultipartCompletion(BaseModel):
    """The parts of an object, all of them."""

    oid: Oid
    parts: list[UploadedPart] = Field(min_length=1, max_length=100_000)


class _Lfs(JSONResponse):
    media_type = MEDIA_TYPE


@router.post("/{prefix:prefix}{ns}/{name}.git/info/lfs/objects/batch")
def batch(request: Request, state: StateDep, prefix: RepoKind, ns: Namespace, name: Name, body: LfsBatch) -> Response:
    """Where each object can be sent, or fetched from; no `actions` for one that is here already."""
    who = git_caller(request)
    if body.operation == "upload":
        repo = access.repo_for(request, type_of(prefix), f"{ns}/{name}", "discuss", who)
        _check_upload(state, who, repo)
        planned = [_upload(state, repo, wanted, body.transfers, public_url(request)) for wanted in body.objects]
    else:
        repo = access.repo_for(request, type_of(prefix), f"{ns}/{name}", "read", who)
        access.require_content_access(state, who, repo)
        planned = [_download(state, repo, wanted, public_url(request)) for wanted in body.objects]
    parts = any("chunk_size" in item.get("actions", {}).get("upload", {}).get("header", {}) for item in planned)
    return _Lfs({"transfer": "multipart" if parts else "basic", "objects": planned, "hash_algo": "sha256"})


@router.post("/{prefix:prefix}{ns}/{name}.git/info/lfs/verify")
def verify(request: Request, state: StateDep, prefix: RepoKind, ns: Namespace, name: Name, body: LfsObject) -> Response:
    """Whether an object has arrived whole."""
    repo = access.repo_for(request, type_of(prefix), f"{ns}/{name}", "read", git_caller(request))
    if state.lfs.size(repo.oid, body.oid) != body.size:
        raise HubError(404, f"The object {body.oid} has not been uploaded.")
    return _Lfs({})


@router.put("/lfs-storage/{repo_id}/{sha}")
async def put(request: Request, state: StateDep, repo_id: RepoId, sha: Sha) -> Response:
    """Takes an object, or a part of one."""
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
    """Puts an object together from its parts."""
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
    """Gives an object to whoever has its address."""
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


def _check_upload(state: HubState, who: Caller, repo: Repo) -> None:
    """Those who may not write may still send what a pull request of theirs needs; nothing refers to it before that."""
    access.require_access(state, who, repo, "discuss")


def _upload(state: HubState, repo: Repo, wanted: LfsObject, transfers: list[str], base: str) -> dict[str, Any]:
    item: dict[str, Any] = {"oid": wanted.oid, "size": wanted.size}
    if state.lfs.size(repo.oid, wanted.oid) == wanted.size:
        return item
    upload = _in_parts if wanted.size > PART and "multipart" in transfers else _at_once
    verify = {"href": f"{base}{repo.web_path}.git/info/lfs/verify"}
    return {**item, "authenticated": True, "actions": {"upload": upload(state, repo, wanted, base), "verify": verify}}


def _at_once(state: HubState, repo: Repo, wanted: LfsObject, base: str) -> dict[str, Any]:
    return {"href": base + state.lfs.address("put", repo.oid, wanted.oid, size=str(wanted.size))}


def _in_parts(state: HubState, repo: Repo, wanted: LfsObject, base: str) -> dict[str, Any]:
    upload, sizes = new_id(), list(_part_sizes(wanted.size))
    header = {"chunk_size": str(PART)}
    for number, size in enumerate(sizes, 1):
        query = {"size": str(size), "part": str(number), "upload": upload}
        header[str(number)] = base + state.lfs.address("put", repo.oid, wanted.oid, **query)
    query = {"size": str(wanted.size), "parts": str(len(sizes)), "upload": upload}
    return {"href": base + state.lfs.address("join", repo.oid, wanted.oid, **query), "header": header}


def _part_sizes(size: int) -> Iterator[int]:
    for start in range(0, size, PART):
        yield min(PART, size - start)


def _download(state: HubState, repo: Repo, wanted: LfsObject, base: str) -> dict[str, Any]:
    size = state.lfs.size(repo.oid, wanted.oid)
    if size is None:
        error = {"code": 404, "message": f"{repo.full_name} has no object {wanted.oid}"}
        return {"oid": wanted.oid, "size": wanted.size, "error": error}
    href = base + state.lfs.address("get", repo.oid, wanted.oid)
    return {"oid": wanted.oid, "size": size, "authenticated": True, "actions": {"download": {"href": href}}}
