"""`git clone` and `git fetch`. Pushing is not offered: whoever writes, writes by the API."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request, Response
from fastapi.responses import StreamingResponse

from localhub.errors import Forbidden, GatedRepo, RepoNotFound
from localhub.git.upload_pack import SERVICE, PasswordRequired, advertise, git_caller, read_request, upload_pack
from localhub.http.routing import RepoKind
from localhub.repos import access
from localhub.repos.store import Repo
from localhub.routes.dependencies import Name, Namespace, type_of

router = APIRouter(tags=["git"])

_NO_CACHE = {"Cache-Control": "no-cache, max-age=0, must-revalidate"}


def cloned(request: Request, prefix: RepoKind, ns: Namespace, name: Name) -> Repo:
    """The repo at a git address, with or without `.git`; 401 where a password could help."""
    who = git_caller(request)
    full_name = f"{ns}/{name.removesuffix('.git')}"
    try:
        repo = access.repo_for(request, type_of(prefix), full_name, who=who)
        access.require_content_access(access.state_of(request), who, repo)
    except (RepoNotFound, GatedRepo) as error:
        if who.account is None:
            raise PasswordRequired(error.message) from error
        raise
    return repo


Cloned = Annotated[Repo, Depends(cloned)]


@router.get("/{prefix:prefix}{ns}/{name}/info/refs")
async def info_refs(request: Request, repo: Cloned, service: Annotated[str, Query(max_length=50)] = "") -> Response:
    """The refs of a repo."""
    if service != SERVICE:
        raise Forbidden("This Hub can be cloned by git, but is written to by its API alone: use huggingface_hub.")
    found = await advertise(repo.git.path, request.headers.get("git-protocol"))
    return Response(found, media_type=f"application/x-{SERVICE}-advertisement", headers=_NO_CACHE)


@router.post("/{prefix:prefix}{ns}/{name}/git-upload-pack")
async def fetch(request: Request, repo: Cloned) -> Response:
    """The objects that the client lacks."""
    body = await read_request(request)
    pack = await upload_pack(repo.git.path, request.headers.get("git-protocol"), body)
    return StreamingResponse(pack, media_type=f"application/x-{SERVICE}-result", headers=_NO_CACHE)
