"""git over HTTP, by which Steward reads its repos without a call per file."""

from __future__ import annotations

import base64
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager

import pygit2

from localhub.contract.checks import check, check_equal
from localhub.contract.client import Sender
from localhub.contract.registry import FactGroup
from localhub.contract.scratch import ScratchRepo
from localhub.contract.workspace import Workspace, head, open_pull

git = FactGroup("git")

_LOCAL = "refs/contract/fetched"
_CONNECT_MS, _SILENCE_MS = 10_000, 120_000


class _Authorised(pygit2.RemoteCallbacks):
    def __init__(self, headers: list[str]) -> None:
        super().__init__()
        self._headers = headers

    def custom_headers(self) -> list[str]:
        return self._headers


@contextmanager
def _fetched(ws: Workspace, repo: ScratchRepo, ref: str, sender: Sender = "own") -> Iterator[pygit2.Repository]:
    """A fetch of one ref without its history: two calls. Raises pygit2.GitError."""
    headers = []
    if sender != "anonymous":
        pair = base64.b64encode(f"steward:{ws.client.token(sender)}".encode()).decode()
        headers = [f"Authorization: Basic {pair}"]
    ws.client.budget.take()
    ws.client.budget.take()
    pygit2.settings.server_connect_timeout = _CONNECT_MS
    pygit2.settings.server_timeout = _SILENCE_MS
    with tempfile.TemporaryDirectory(prefix="contract-") as folder:
        local = pygit2.init_repository(folder, bare=True)
        try:
            remote = local.remotes.create_anonymous(ws.client.endpoint + repo.web)
            remote.fetch([f"+{ref}:{_LOCAL}"], callbacks=_Authorised(headers), depth=1)
            yield local
        finally:
            local.free()


def _text(local: pygit2.Repository, path: str) -> bytes:
    commit = local.get(local.references[_LOCAL].target)
    assert isinstance(commit, pygit2.Commit)
    blob = commit.tree[path]
    assert isinstance(blob, pygit2.Blob)
    return blob.data


@git.fact(calls=3)
def fetch(ws: Workspace) -> None:
    """`git fetch --depth 1` with the token as Basic password brings the head of main of a private repo."""
    repo = ws.threads_repo()
    with _fetched(ws, repo, "refs/heads/main") as local:
        check_equal("main", str(local.references[_LOCAL].target), head(ws, repo))
        check_equal("a.txt", _text(local, "a.txt"), b"one\n")


@git.fact(calls=4)
def fetch_pull(ws: Workspace) -> None:
    """`git fetch` brings the head of a pull request, `refs/pr/N`."""
    repo = ws.threads_repo()
    number = open_pull(ws, repo, {"fetched.txt": b"by git\n"}, "To be fetched")
    with _fetched(ws, repo, f"refs/pr/{number}") as local:
        check_equal("fetched.txt", _text(local, "fetched.txt"), b"by git\n")


@git.fact(calls=2)
def refused(ws: Workspace) -> None:
    """`git fetch` of a private repo without a token is 401 or 404."""
    try:
        with _fetched(ws, ws.threads_repo(), "refs/heads/main", "anonymous"):
            got = "the repo"
    except pygit2.GitError as error:
        got = str(error)
    holds = any(word in got for word in ("401", "404", "authentication"))
    check("git fetch", holds, expected="401, 404 or a question for authentication", got=got)
