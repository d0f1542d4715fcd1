"""Files by their address, as downloads and `from_pretrained` read them."""

from __future__ import annotations

from fastapi import Request, Response
from fastapi.responses import RedirectResponse

from localhub.accounts.store import Caller
from localhub.errors import EntryNotFound
from localhub.git.trees import TreeEntry
from localhub.http.file_responses import not_modified, quoted_etag, send_bytes
from localhub.http.routing import HubRouter, RepoKind
from localhub.repos.paths import is_clean
from localhub.repos.records import Repo, RepoType
from localhub.routes.dependencies import CallerDep, Name, Namespace, Rev, StateDep, public_url, type_of
from localhub.routes.repo_info import without_owner
from localhub.state import HubState

router = HubRouter(tags=["resolve"])


@router.get("/{prefix:prefix}{ns}/{name}/resolve/{rev:seg}/{path:rest}")
@router.head("/{prefix:prefix}{ns}/{name}/resolve/{rev:seg}/{path:rest}")
def resolve(
    request: Request,
    state: StateDep,
    caller: CallerDep,
    prefix: RepoKind,
    ns: Namespace,
    name: Name,
    rev: Rev,
    path: str,
) -> Response:
    """A file of a revision: a small one as the answer, a large one by redirect to the storage.

    The real Hub redirects small files too, to a cache by commit; its API description allows both, and this saves
    a call.
    """
    repo, commit, entry = _file(state, caller, type_of(prefix), f"{ns}/{name}", rev, path)
    pointer = repo.git.facts([entry.oid])[entry.oid].pointer
    if pointer and state.lfs.size(repo.oid, pointer.sha256) is not None:
        return _large(request, state, repo, commit, entry, pointer.sha256, pointer.size)
    name = path.rpartition("/")[2]
    return send_bytes(request, repo.git.read(entry.oid), entry.oid, name, {"X-Repo-Commit": commit})


@router.get("/{prefix:prefix}{ns}/{name}/raw/{rev:seg}/{path:rest}")
@router.head("/{prefix:prefix}{ns}/{name}/raw/{rev:seg}/{path:rest}")
def raw(
    request: Request,
    state: StateDep,
    caller: CallerDep,
    prefix: RepoKind,
    ns: Namespace,
    name: Name,
    rev: Rev,
    path: str,
) -> Response:
    """A file as git stores it: of a large one the pointer."""
    repo, commit, entry = _file(state, caller, type_of(prefix), f"{ns}/{name}", rev, path)
    # Never sent as a type that a browser would execute.
    return send_bytes(request, repo.git.read(entry.oid), entry.oid, "file.txt", {"X-Repo-Commit": commit})


@router.get("/{prefix:prefix}{name}/resolve/{rev:seg}/{path:rest}")
@router.head("/{prefix:prefix}{name}/resolve/{rev:seg}/{path:rest}")
def resolve_without_owner(state: StateDep, caller: CallerDep, prefix: RepoKind, name: Name) -> None:
    """Redirect a repo's former name without an owner, as the first repos had; `RepoNotFound` for any other."""
    without_owner(state, caller, prefix, name)


def _file(
    state: HubState, caller: Caller, repo_type: RepoType, full_name: str, rev: str, path: str
) -> tuple[Repo, str, TreeEntry]:
    """The repo, the commit that `rev` names, and the file at `path`, if the caller may read it."""
    repo = state.access.repo(repo_type, full_name, caller)
    state.access.require_content_access(caller, repo)
    commit = repo.git.resolve(rev)
    entry = repo.git.entry(commit, path) if is_clean(path) else None
    if entry is None or entry.type != "file":
        raise EntryNotFound(path, commit)
    return repo, commit, entry


def _large(
    request: Request, state: HubState, repo: Repo, commit: str, entry: TreeEntry, sha256: str, size: int
) -> Response:
    headers = {
        "X-Repo-Commit": commit,
        "X-Linked-Etag": quoted_etag(sha256),
        "X-Linked-Size": str(size),
        "ETag": quoted_etag(sha256),
        "Accept-Ranges": "bytes",
    }
    if not_modified(request, sha256):
        return Response(status_code=304, headers=headers)
    name = entry.path.rpartition("/")[2]
    # The client follows a redirect within this Hub also for HEAD: the storage's answer repeats the commit.
    # The address is absolute, as the Hub's is: huggingface_hub 0.27 drops the query of a relative one.
    target = public_url(request) + state.lfs.address("get", repo.oid, sha256, commit=commit, name=name)
    return RedirectResponse(target, 302, headers)
