"""`git clone` and `git fetch`. There is no push: clients write by the API."""

from __future__ import annotations

import zlib
from typing import Annotated

from fastapi import Depends, Query, Request, Response
from fastapi.responses import StreamingResponse

from localhub.errors import BadRequest, Forbidden, GatedRepo, HubError, RepoNotFound
from localhub.git.upload_pack import SERVICE, advertise, upload_pack
from localhub.http.routing import HubRouter, RepoKind
from localhub.repos.records import Repo
from localhub.routes.callers import PasswordRequired, git_caller
from localhub.routes.dependencies import Name, Namespace, StateDep, type_of

router = HubRouter(tags=["git"])

_MAX_REQUEST_BYTES = 64 << 20
_NO_CACHE = {"Cache-Control": "no-cache, max-age=0, must-revalidate"}


async def cloned(request: Request, state: StateDep, prefix: RepoKind, ns: Namespace, name: Name) -> Repo:
    """The repo at a git address, with or without `.git`; 401 if a password could give access."""
    caller = git_caller(request)
    full_name = f"{ns}/{name.removesuffix('.git')}"
    try:
        repo = state.access.repo(type_of(prefix), full_name, caller)
        state.access.require_content_access(caller, repo)
    except (RepoNotFound, GatedRepo) as error:
        if caller.account is None:
            raise PasswordRequired(error.message) from error
        raise
    return repo


Cloned = Annotated[Repo, Depends(cloned)]


@router.get("/{prefix:prefix}{ns}/{name}/info/refs")
async def info_refs(request: Request, repo: Cloned, service: Annotated[str, Query(max_length=50)] = "") -> Response:
    """The refs of a repo."""
    if service != SERVICE:
        raise Forbidden("This Hub can be cloned by git, but is written to by its API alone: use huggingface_hub.")
    refs = await advertise(repo.git, request.headers.get("git-protocol"))
    return Response(refs, media_type=f"application/x-{SERVICE}-advertisement", headers=_NO_CACHE)


@router.post("/{prefix:prefix}{ns}/{name}/git-upload-pack")
async def fetch(request: Request, repo: Cloned) -> Response:
    """The objects that the client lacks."""
    body = await _read_request(request)
    pack = await upload_pack(repo.git.path, request.headers.get("git-protocol"), body)
    return StreamingResponse(pack, media_type=f"application/x-{SERVICE}-result", headers=_NO_CACHE)


async def _read_request(request: Request) -> bytes:
    """The body of a fetch request; git compresses long lists of objects."""
    unpack = zlib.decompressobj(31) if request.headers.get("content-encoding") == "gzip" else None
    body = bytearray()
    try:
        async for chunk in request.stream():
            body += unpack.decompress(chunk, _MAX_REQUEST_BYTES - len(body) + 1) if unpack else chunk
            if len(body) > _MAX_REQUEST_BYTES:
                raise HubError(413, "This list of wanted objects is too long.")
    except zlib.error as error:
        raise BadRequest("The body says that it is gzip and is not.") from error
    return bytes(body)
