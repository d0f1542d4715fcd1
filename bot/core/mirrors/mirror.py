"""Shallow clones of the board's repos on this machine, in which syncs find changes without a call per file.

A mirror is a cache. It may be deleted at any time, even while it is in use; a reader discards a damaged one, and the
next fetch creates it again from the newest commit. A new clone does not have the old commits.

Races closed, by a lock file beside each clone, shared by threads and processes: two fetches at once; a clone is
discarded while it is being read. A process that dies leaves no lock, only git's own lock and temporary files, which the
next fetch removes.
Race accepted: main moves between reading the refs and the fetch. The caller checks by `has` for the commit that it saw.
Race accepted: a clone is tidied between a fetch and a read, and then has only newer commits. The sync runs again two
seconds later.
"""

from __future__ import annotations

import errno
import fcntl
import hashlib
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pygit2
import structlog

from bot.core.mirrors.folder import MirrorDamaged, UnusableFolder, default_folder, trouble_with
from bot.core.mirrors.git_trees import GitDifference, GitFile, changed, differences, files, find
from hub.client import Hub
from hub.errors import RevisionNotFound
from hub.git import git_refusal
from hub.records import Repo

log = structlog.get_logger()

MAX_PACKS = 64
"""Each fetch leaves one pack; with more of them than this a fresh clone is smaller and quicker."""
_MAIN = "refs/heads/main"
_PULL = "refs/steward/pull"
"""The local ref for the head of the pull request that is being checked; the next check overwrites it."""
_CONNECT_MS, _SILENCE_MS = 10_000, 120_000
_DISK = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EIO)
"""Errors of a disk that cannot be written."""


class MirrorView:
    """Read access to a mirror for one thread at a time. Every method raises MirrorDamaged."""

    def __init__(self, git: pygit2.Repository) -> None:
        self._git = git

    def has(self, commit: str) -> bool:
        """Whether this commit was fetched with its files."""
        try:
            self._tree(commit)
        except MirrorDamaged:
            return False
        return True

    def parent(self, commit: str) -> str | None:
        """The parent of `commit`, which the mirror may lack; None for the repo's first commit."""
        parents = self._commit(commit).parent_ids
        return str(parents[0]) if parents else None

    def files(self, commit: str) -> Iterator[GitFile]:
        """Every file of `commit`."""
        return files(self._read, self._tree(commit))

    def find(self, commit: str, path: str) -> str | None:
        """The blob id of the file at `path` at `commit`; None if there is none."""
        return find(self._read, self._tree(commit), path)

    def changed(self, old: str | None, new: str) -> Iterator[GitFile]:
        """The files that differ between two commits, as in `new`; all files of `new` if `old` is None."""
        return changed(self._read, self._tree(old) if old is not None else None, self._tree(new))

    def differences(self, old: str, new: str) -> Iterator[GitDifference]:
        """Every difference between two commits, also of links and modes."""
        return differences(self._read, self._tree(old), self._tree(new))

    def blob(self, oid: str, *, max_bytes: int) -> bytes | None:
        """The content of a file; None if it has more than `max_bytes` bytes."""
        try:
            _, size = self._git.odb.read_header(pygit2.Oid(hex=oid))
        except (KeyError, ValueError, pygit2.GitError) as error:
            raise MirrorDamaged(f"no blob {oid}: {error}") from error
        return self._read(bytes.fromhex(oid)) if size <= max_bytes else None

    def content(self, oid: str) -> bytes:
        """The content of a file of any size: for callers that read very many small ones."""
        return self._read(bytes.fromhex(oid))

    def _read(self, oid: bytes) -> bytes:
        try:
            return self._git.odb.read(pygit2.Oid(raw=oid))[1]
        except (KeyError, ValueError, pygit2.GitError) as error:
            raise MirrorDamaged(f"no object {oid.hex()}: {error}") from error

    def _commit(self, commit: str) -> pygit2.Commit:
        try:
            entry = self._git.get(commit)
        except (ValueError, pygit2.GitError) as error:
            raise MirrorDamaged(f"no commit {commit}: {error}") from error
        if not isinstance(entry, pygit2.Commit):
            raise MirrorDamaged(f"no commit {commit}")
        return entry

    def _tree(self, commit: str) -> bytes:
        tree = self._commit(commit).tree_id.raw
        self._read(tree)
        return tree


class Mirror:
    """The mirrors of the repos that `hub` can read. May be shared between threads."""

    def __init__(self, hub: Hub, folder: Path | None = None) -> None:
        self._hub = hub
        self.root = folder or default_folder()
        """The folder in STEWARD_MIRRORS, with the mirrors of all Hubs."""
        self._folder = self.root / hashlib.sha256(hub.endpoint.encode()).hexdigest()[:12]
        pygit2.settings.server_connect_timeout = _CONNECT_MS
        pygit2.settings.server_timeout = _SILENCE_MS

    def fetch(self, repo: Repo, *, depth: int) -> str:
        """Fetch the newest `depth` commits of main, and return the newest. Two to four calls.

        Depth 0: all since the last fetch, or the newest one without an earlier fetch. Raises HubError, UnusableFolder.
        """
        path = self._path(repo)
        with self._locked(path, fcntl.LOCK_EX):
            return self._hub.retries.call(lambda: self._fetch(repo, path, depth), repeatable=True)

    def fetch_pull(self, repo: Repo, number: int) -> str:
        """Fetch the head of a pull request without its history, and return its commit. Two to four calls.

        Raises HubError and UnusableFolder.
        """
        path = self._path(repo)
        with self._locked(path, fcntl.LOCK_EX):
            return self._hub.retries.call(
                lambda: self._fetch(repo, path, 1, (f"refs/pr/{number}", _PULL)), repeatable=True
            )

    @contextmanager
    def read(self, repo: Repo) -> Iterator[MirrorView]:
        """The mirror of `repo`, locked against removal. Raises MirrorDamaged if there is none."""
        path = self._path(repo)
        with self._locked(path, fcntl.LOCK_SH):
            git = _open(path)
            if git is None:
                raise MirrorDamaged(f"no mirror of {repo.id}")
            try:
                yield MirrorView(git)
            finally:
                git.free()

    @contextmanager
    def read_fetched(self, repo: Repo) -> Iterator[MirrorView]:
        """`read` right after a fetch; discard a mirror that is still damaged, the next fetch makes a new one."""
        try:
            with self.read(repo) as view:
                yield view
        except MirrorDamaged:
            self.discard(repo)
            raise

    def discard(self, repo: Repo) -> None:
        """Delete the mirror of `repo`."""
        path = self._path(repo)
        with self._locked(path, fcntl.LOCK_EX):
            shutil.rmtree(path, ignore_errors=True)

    def tidy(self, repo: Repo) -> bool:
        """Replace a clone that has more than MAX_PACKS packs by a fresh one; return whether that was done.

        The fresh clone is made beside the old one, which stays usable meanwhile.
        """
        path = self._path(repo)
        fresh = path.with_name(path.name + ".new")
        if len(list(path.glob("objects/pack/*.pack"))) <= MAX_PACKS:
            return False
        with self._locked(fresh, fcntl.LOCK_EX):
            shutil.rmtree(fresh, ignore_errors=True)
            self._fetch(repo, fresh, depth=1)
            with self._locked(path, fcntl.LOCK_EX):
                shutil.rmtree(path, ignore_errors=True)
                fresh.rename(path)
        return True

    def _fetch(self, repo: Repo, path: Path, depth: int, refs: tuple[str, str] = (_MAIN, _MAIN)) -> str:
        """Fetch the first of `refs` as the second."""
        try:
            git = _open(path)
            if git is None:
                git, depth = _create(path), depth or 1
            else:
                _sweep(path)
        except (pygit2.GitError, OSError) as error:
            raise self._unusable(error) from error
        address = self._hub.session.git(repo)
        try:
            remote = git.remotes.create_anonymous(address.url)
            remote.fetch([f"+{refs[0]}:{refs[1]}"], callbacks=_WithHeaders(address.headers), depth=depth)
            return str(git.references[refs[1]].target)
        except KeyError as error:
            raise RevisionNotFound(f"{repo.id} has no {refs[0]}.", status=404) from error
        except (pygit2.GitError, OSError) as error:
            if not _is_whole(git):
                shutil.rmtree(path, ignore_errors=True)
            # A full disk must not count as an unavailable Hub: then all syncs would wait for the Hub.
            raise (self._unusable(error) if _is_disk_error(error) else git_refusal(repo.id, str(error))) from error
        finally:
            git.free()

    def _path(self, repo: Repo) -> Path:
        return self._folder / f"{repo.kind}--{repo.id.replace('/', '--')}"

    @contextmanager
    def _locked(self, path: Path, mode: int) -> Iterator[None]:
        try:
            self._make_folder()
            lock = path.with_name(path.name + ".lock").open("ab")
        except OSError as error:
            raise self._unusable(error) from error
        with lock:
            fcntl.flock(lock, mode)
            yield

    def _unusable(self, error: Exception) -> UnusableFolder:
        return UnusableFolder(f"{error}. Free space in {self.root}, or set STEWARD_MIRRORS to another folder.")

    def _make_folder(self) -> None:
        self._check_folder()
        self.root.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._check_folder()  # another account may have created it in between
        self._folder.mkdir(mode=0o700, exist_ok=True)

    def _check_folder(self) -> None:
        if trouble := trouble_with(self.root):
            raise UnusableFolder(f"{trouble} Set STEWARD_MIRRORS to a folder of this account alone.")


class _WithHeaders(pygit2.RemoteCallbacks):
    def __init__(self, headers: tuple[str, ...]) -> None:
        super().__init__()
        self._headers = headers

    def custom_headers(self) -> list[str]:
        return list(self._headers)


def _is_disk_error(error: Exception) -> bool:
    """Whether the disk caused the error: libgit2 has one class of errors, whose message ends with the system's."""
    return any(os.strerror(code) in str(error) for code in _DISK)


def _open(path: Path) -> pygit2.Repository | None:
    """The clone at `path`; None if there is none, or if it lost its newest commit."""
    try:
        git = pygit2.Repository(str(path), pygit2.enums.RepositoryOpenFlag.BARE)
    except pygit2.GitError:
        return None
    if _is_whole(git):
        return git
    git.free()
    return None


def _is_whole(git: pygit2.Repository) -> bool:
    try:
        return MirrorView(git).has(str(git.references[_MAIN].target))
    except (KeyError, ValueError, pygit2.GitError):
        return False


def _create(path: Path) -> pygit2.Repository:
    shutil.rmtree(path, ignore_errors=True)
    git = pygit2.init_repository(str(path), bare=True, initial_head="main")
    # A redirect to another name of a repo is fine; one to another host would give it the token.
    git.config["http.followRedirects"] = "false"
    return git


def _sweep(path: Path) -> None:
    """Remove lock and temporary files of a process that was killed."""
    leftovers = [*path.glob("*.lock"), *(path / "refs").rglob("*.lock")]
    leftovers += [file for file in (path / "objects/pack").iterdir() if not file.name.startswith("pack-")]
    for file in leftovers:
        file.unlink(missing_ok=True)
