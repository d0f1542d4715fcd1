"""What the routes of one repo have in common: its address, who asks, and what that lets them see."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Annotated, cast

from fastapi import Depends, Path, Request

from localhub.accounts.store import Caller
from localhub.http.routing import RepoKind
from localhub.repos import access
from localhub.repos.access import AccessLevel
from localhub.repos.store import Repo
from localhub.state import HubState

if TYPE_CHECKING:
    from localhub.repos.store import RepoType

StateDep = Annotated[HubState, Depends(access.state_of)]
CallerDep = Annotated[Caller, Depends(access.request_caller)]
"""Who asks; 401 for a wrong token."""

Rev = Annotated[str, Path(description="Branch, tag, refs/pr/N or commit, quoted as one segment", max_length=400)]
Namespace = Annotated[str, Path(max_length=200)]
Name = Annotated[str, Path(max_length=200)]


_HOST = re.compile(r"[A-Za-z0-9_.-]+(:[0-9]+)?|\[[0-9a-fA-F:.]+\](:[0-9]+)?")


def type_of(kind: RepoKind) -> RepoType:
    """`datasets` as it stands in addresses, as the type `dataset`."""
    return cast("RepoType", kind.removesuffix("s"))


def public_url(request: Request) -> str:
    """The address that the caller used for this Hub: what it is answered with must lead back there."""
    host = request.headers.get("host", "")
    return f"{request.url.scheme}://{host}" if _HOST.fullmatch(host) else access.state_of(request).url


class RepoFromPath:
    """Dependency: the repo of an API address (`{kind}/{ns}/{name}`), if the caller may do `want` to it."""

    def __init__(self, want: AccessLevel, *, content: bool = False) -> None:
        self.want = want
        self.content = content

    def __call__(self, request: Request, kind: RepoKind, ns: Namespace, name: Name, who: CallerDep) -> Repo:
        repo = access.repo_for(request, type_of(kind), f"{ns}/{name}", self.want, who)
        if self.content:
            access.require_content_access(access.state_of(request), who, repo)
        return repo


Readable = Annotated[Repo, Depends(RepoFromPath("read"))]
"""A repo whose existence and list of files the caller may know."""
Contents = Annotated[Repo, Depends(RepoFromPath("read", content=True))]
"""A repo whose files the caller may read."""
Writable = Annotated[Repo, Depends(RepoFromPath("write"))]
Owned = Annotated[Repo, Depends(RepoFromPath("admin"))]
