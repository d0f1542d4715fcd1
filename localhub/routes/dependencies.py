"""Dependencies that the routes share: the state, the caller, and the repo of an address."""

from __future__ import annotations

import re
from typing import Annotated, cast

from fastapi import Depends, Path, Request

from localhub.accounts.store import Caller
from localhub.http.routing import RepoKind
from localhub.repos.access import AccessLevel
from localhub.repos.records import Repo, RepoType
from localhub.routes.callers import request_caller, state_of
from localhub.state import HubState

# FastAPI calls each plain function of a request in another thread, which costs more than these do: readers of the
# database never wait. So the functions here are asynchronous.


async def _state(request: Request) -> HubState:
    return state_of(request)


async def _caller(request: Request) -> Caller:
    return request_caller(request)


StateDep = Annotated[HubState, Depends(_state)]
CallerDep = Annotated[Caller, Depends(_caller)]
"""The caller by token; 401 for an unknown token."""

Rev = Annotated[str, Path(description="Branch, tag, refs/pr/N or commit, quoted as one segment", max_length=400)]
Namespace = Annotated[str, Path(max_length=200)]
Name = Annotated[str, Path(max_length=200)]


_HOST = re.compile(r"[A-Za-z0-9_.-]+(:[0-9]+)?|\[[0-9a-fA-F:.]+\](:[0-9]+)?")


def type_of(kind: RepoKind) -> RepoType:
    """The repo type of a kind in addresses: `dataset` for `datasets`."""
    return cast("RepoType", kind.removesuffix("s"))


def public_url(request: Request) -> str:
    """The address that the caller used for this Hub: addresses in the answer must start with it."""
    host = request.headers.get("host", "")
    return f"{request.url.scheme}://{host}" if _HOST.fullmatch(host) else state_of(request).url


class RepoFromPath:
    """Dependency: the repo of an API address (`{kind}/{ns}/{name}`), if the caller has `level` on it."""

    def __init__(self, level: AccessLevel, *, content: bool = False) -> None:
        self.level = level
        self.content = content

    async def __call__(self, state: StateDep, kind: RepoKind, ns: Namespace, name: Name, caller: CallerDep) -> Repo:
        repo = state.access.repo(type_of(kind), f"{ns}/{name}", caller, self.level)
        if self.content:
            state.access.require_content_access(caller, repo)
        return repo


Readable = Annotated[Repo, Depends(RepoFromPath("read"))]
"""A repo whose existence and file names the caller may see."""
Contents = Annotated[Repo, Depends(RepoFromPath("read", content=True))]
"""A repo whose files the caller may read."""
Writable = Annotated[Repo, Depends(RepoFromPath("write"))]
Owned = Annotated[Repo, Depends(RepoFromPath("admin"))]
