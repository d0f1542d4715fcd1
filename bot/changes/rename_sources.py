"""Read the files of a rename: those on main, their state in a pull request, and the changes of a merge commit.

The requests repo has a hundred thousand small files, any of which may name the model as its base, so they are scanned
in the mirror, without a call for each. The results repo is large, but a model has few results in one folder, so they
are read one by one, up to MAX_RESULTS_FILES.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from bot.core.context import BoardContext
from bot.core.mirrors.folder import MirrorDamaged
from bot.core.mirrors.git_trees import GitDifference
from hub.errors import EntryNotFound, TooLarge
from hub.records import Repo
from hub.retries import unless_gone
from leaderboard.changes import FileChange
from leaderboard.reasons import Problem
from leaderboard.rename_contents import is_in_folder_of
from leaderboard.renames import REASONS, Kind
from leaderboard.request_paths import is_request_path

if TYPE_CHECKING:
    from bot.core.mirrors.mirror import MirrorView

_SLOT = "_eval_request_"
MAX_RESULTS_FILES = 60
"""Results files of one model that the bot reads; if there are more, a person has to check the rename."""
MAX_FILE = 10 * 1024 * 1024
MAX_DIFF = 8 * 1024 * 1024
DEPTH = 50
"""Commits that are fetched where the mirror lacks the parent of a merge commit."""


class TooMuchToRead(Exception):
    """There are more files, or larger ones, than the bot reads; `str()` names them."""

    @property
    def problem(self) -> Problem:
        """The problem for the report of a rename."""
        return REASONS["too-much"].problem(what=str(self))


class HeadMoved(Exception):
    """The pull request has another head now than the one that is checked."""


@dataclass(frozen=True)
class RenameBase:
    """The files at `commit` from which a rename is planned, and the files that already have the new name."""

    commit: str
    files: Mapping[str, bytes]
    new_files: tuple[str, ...] = ()


@dataclass(frozen=True)
class ChangedFiles:
    """The files after some changes: path → contents, and path → id in the repo (None: deleted)."""

    contents: Mapping[str, bytes]
    oids: Mapping[str, str | None]

    @property
    def digest(self) -> str:
        """The digest of this outcome; any other byte in it gives another digest."""
        return hashlib.sha256(json.dumps(sorted(self.oids.items())).encode()).hexdigest()


@dataclass(frozen=True)
class MergedCommit:
    """A commit: the files before it, its changes, and the changed files after it."""

    base: RenameBase
    changes: tuple[FileChange, ...]
    head: ChangedFiles


class RenameSource(Protocol):
    """Reads one repo of the board. All methods raise HubError, MirrorDamaged, TooMuchToRead; `head` also HeadMoved."""

    kind: Kind

    def base(self, old: str, new: str) -> RenameBase:
        """The files on main that the rename concerns."""

    def head(self, number: int, revision: str, changes: Sequence[FileChange]) -> ChangedFiles:
        """The changed files of pull request `number` with these `changes`, at its head `revision`."""

    def merged(self, old: str, new: str, commit: str) -> MergedCommit:
        """Read the merge commit `commit`."""


def source_of(context: BoardContext, repo: Repo) -> RenameSource:
    """The source for `repo`, which is the requests or the results repo."""
    return RequestsSource(context) if repo == context.requests else ResultsSource(context)


class RequestsSource:
    """The requests repo, in its mirror."""

    kind: Kind = "requests"

    def __init__(self, context: BoardContext) -> None:
        self._context, self._repo = context, context.requests

    def base(self, old: str, new: str) -> RenameBase:
        """The request files of `old`, others that contain its name, and the paths of `new`. Two to four calls."""
        commit = self._context.mirror.fetch(self._repo, depth=0)
        with self._context.mirror.read_fetched(self._repo) as view:
            return self._base(view, commit, old, new)

    def _base(self, view: MirrorView, commit: str, old: str, new: str) -> RenameBase:
        most = self._context.board.max_request_bytes
        name, old_prefix, new_prefix = old.rpartition("/")[2].encode(), f"{old}{_SLOT}", f"{new}{_SLOT}"
        files: dict[str, bytes] = {}
        new_files: list[str] = []
        for blob in view.files(commit):
            if _SLOT not in blob.path or not is_request_path(blob.path) or blob.oid is None:
                continue
            data = view.content(blob.oid)
            if blob.path.startswith(old_prefix):
                files[blob.path] = data if len(data) <= most else b""
                continue
            if blob.path.startswith(new_prefix):
                new_files.append(blob.path)
            if name in data and len(data) <= most:
                files[blob.path] = data
        return RenameBase(commit, files, tuple(new_files))

    def head(self, number: int, revision: str, changes: Sequence[FileChange]) -> ChangedFiles:
        """The changed files at the head of the pull request, from the mirror. Two to four calls."""
        if self._context.mirror.fetch_pull(self._repo, number) != revision:
            raise HeadMoved
        with self._context.mirror.read_fetched(self._repo) as view:
            return _in_view(view, revision, changes)

    def merged(self, old: str, new: str, commit: str) -> MergedCommit:
        """The merge commit, its changes and the files before it, from the mirror. Two to eight calls."""
        with commit_and_parent(self._context, self._repo, commit) as (view, parent):
            changes = tuple(_change(difference) for difference in view.differences(parent, commit))
            return MergedCommit(self._base(view, parent, old, new), changes, _in_view(view, commit, changes))


@contextmanager
def commit_and_parent(context: BoardContext, repo: Repo, commit: str) -> Iterator[tuple[MirrorView, str]]:
    """Fetch `commit` and its parent; yield the mirror and the parent's id. Raises MirrorDamaged if one is missing."""
    for depth in (0, DEPTH):
        context.mirror.fetch(repo, depth=depth)
        with context.mirror.read_fetched(repo) as view:
            parent = view.parent(commit) if view.has(commit) else None
            if parent is not None and view.has(parent):
                yield view, parent
                return
    raise MirrorDamaged(f"{commit} and its parent are not among the newest {DEPTH} commits")


def _change(difference: GitDifference) -> FileChange:
    if difference.now is None:
        return FileChange(difference.path, "removed")
    return FileChange(difference.path, "added" if difference.was is None else "changed", difference.mode)


def _in_view(view: MirrorView, commit: str, changes: Sequence[FileChange]) -> ChangedFiles:
    oids = {path: view.find(commit, path) for path in touched(changes)}
    contents: dict[str, bytes] = {}
    for path, oid in oids.items():
        data = view.blob(oid, max_bytes=MAX_FILE) if oid is not None else None
        if oid is not None and data is None:
            raise TooMuchToRead(_too_large(path))
        contents |= {path: data} if data is not None else {}
    return ChangedFiles(contents, oids)


def _too_large(path: str) -> str:
    return f"{path} has more than {MAX_FILE // 2**20} MB"


def touched(changes: Iterable[FileChange]) -> list[str]:
    """The paths that `changes` touch, without the sources of copies."""
    paths = [path for change in changes for path in (change.paths if change.kind == "renamed" else (change.path,))]
    return list(dict.fromkeys(paths))


def paths_in_folder(context: BoardContext, repo: Repo, folder: str, commit: str) -> list[str]:
    """The paths of the files in `folder`; none if there is no such folder. One call, and another one after a 404, which
    may be wrong: the files would stay where they are, while those of the other repo move. Raises TooLarge."""
    files = unless_gone(lambda: context.hub.list_files(repo, commit, folder=folder), EntryNotFound)
    return [file.path for file in files or ()]


class ResultsSource:
    """The results repo, read file by file."""

    kind: Kind = "results"

    def __init__(self, context: BoardContext) -> None:
        self._context, self._repo = context, context.results

    def base(self, old: str, new: str) -> RenameBase:
        """The results files of `old`, and the paths of those of `new`.

        One call for the head, one or two for each of the two folders, and one for each file of `old`.
        """
        return self._base(self._context.hub.head(self._repo), old, new)

    def _base(self, commit: str, old: str, new: str) -> RenameBase:
        paths = self._listed(old, commit)
        return RenameBase(commit, self._read(paths, commit), tuple(self._listed(new, commit)))

    def _listed(self, model: str, commit: str) -> list[str]:
        try:
            paths = paths_in_folder(self._context, self._repo, model, commit)
        except TooLarge as error:
            raise TooMuchToRead(f"the folder {model}") from error
        return [path for path in paths if is_in_folder_of(model, path)]

    def _read(self, paths: Sequence[str], revision: str) -> dict[str, bytes]:
        if len(paths) > MAX_RESULTS_FILES:
            raise TooMuchToRead(f"{len(paths):,} files of results; the limit is {MAX_RESULTS_FILES}")
        files: dict[str, bytes] = {}
        for path in paths:
            try:
                file = self._context.hub.find_file(self._repo, path, revision, max_bytes=MAX_FILE)
            except TooLarge as error:
                raise TooMuchToRead(_too_large(path)) from error
            files |= {path: file.data} if file is not None else {}
        return files

    def head(
        self,
        number: int,  # noqa: ARG002  the commit is enough where files are read one by one
        revision: str,
        changes: Sequence[FileChange],
    ) -> ChangedFiles:
        """The changed files at `revision`. One call for all paths, and one for each file."""
        return self._head(revision, changes)

    def _head(self, revision: str, changes: Sequence[FileChange]) -> ChangedFiles:
        paths = touched(changes)
        infos = self._context.hub.paths_info(self._repo, paths, revision)
        oids = {path: infos[path].oid if path in infos else None for path in paths}
        return ChangedFiles(self._read([path for path in paths if path in infos], revision), oids)

    def merged(self, old: str, new: str, commit: str) -> MergedCommit:
        """The merge commit, its changes and the files before it. Two calls, and those of `base` and `head`."""
        parent = self._context.hub.parent(self._repo, commit)
        changes = tuple(self._context.hub.changes(self._repo, parent, commit, max_bytes=MAX_DIFF))
        return MergedCommit(self._base(parent, old, new), changes, self._head(commit, changes))
