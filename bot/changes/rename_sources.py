"""Where a rename is read from: the files that it is planned from, what a pull request makes of them, what a merge made.

The requests repo has a hundred thousand small files, any of which may name the model as its base: they are looked
through in the mirror, without a call for each. The results repo is large and a model's results are few: they lie in
one folder, and are read one by one, up to MOST_READ of them.
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
from leaderboard.changes import FileChange
from leaderboard.reasons import Problem
from leaderboard.renames import REASONS, Kind
from leaderboard.requests import is_request_path

if TYPE_CHECKING:
    from bot.core.mirrors.mirror import MirrorView

_SLOT = "_eval_request_"
MOST_READ = 60
"""Results that are read one by one; a model with more of them is looked at by a person."""
MAX_FILE = 10 * 1024 * 1024
MAX_DIFF = 8 * 1024 * 1024
DEPTH = 50
"""Commits that are fetched where the one before a merge is not here yet."""


class TooMuchToRead(Exception):
    """More files, or larger ones, than are looked at without a person; `str()` says what, in words."""

    @property
    def problem(self) -> Problem:
        """The same as what is wrong with a rename."""
        return REASONS["too-much"].problem(what=str(self))


class HeadMoved(Exception):
    """The pull request has another head by now than the one that is looked at."""


@dataclass(frozen=True)
class RenameBase:
    """The files at `commit` from which the rename of a model is planned, and those that lie under its new name."""

    commit: str
    files: Mapping[str, bytes]
    new_files: tuple[str, ...] = ()


@dataclass(frozen=True)
class ChangedFiles:
    """What changes to files made of them: path → contents, and path → id as the repo keeps it (None: gone)."""

    contents: Mapping[str, bytes]
    oids: Mapping[str, str | None]

    @property
    def digest(self) -> str:
        """Names this very outcome, byte for byte."""
        return hashlib.sha256(json.dumps(sorted(self.oids.items())).encode()).hexdigest()


@dataclass(frozen=True)
class MergedCommit:
    """A commit: what was there before, what it changed, and into what."""

    base: RenameBase
    changes: tuple[FileChange, ...]
    head: ChangedFiles


class RenameSource(Protocol):
    """One of the board's repos. Every method raises HubError, MirrorDamaged and TooMuch; `head` MovedOn, too."""

    kind: Kind

    def base(self, old: str, new: str) -> RenameBase:
        """The files on main, as they are now."""

    def head(self, number: int, revision: str, changes: Sequence[FileChange]) -> ChangedFiles:
        """What `changes`, those of pull request `number`, make of the files, at its head `revision`."""

    def merged(self, old: str, new: str, commit: str) -> MergedCommit:
        """What `commit` did."""


def source_of(context: BoardContext, repo: Repo) -> RenameSource:
    """The source for `repo`, which is the requests or the results repo."""
    return RequestsSource(context) if repo == context.requests else ResultsSource(context)


class RequestsSource:
    """The requests repo, in its mirror."""

    kind: Kind = "requests"

    def __init__(self, context: BoardContext) -> None:
        self._desk, self._repo = context, context.requests

    def base(self, old: str, new: str) -> RenameBase:
        """Two to four calls, whatever there is."""
        commit = self._desk.mirror.fetch(self._repo, depth=0)
        with self._desk.mirror.read_fetched(self._repo) as view:
            return self._base(view, commit, old, new)

    def _base(self, view: MirrorView, commit: str, old: str, new: str) -> RenameBase:
        most = self._desk.board.max_request_bytes
        name, its, news = old.rpartition("/")[2].encode(), f"{old}{_SLOT}", f"{new}{_SLOT}"
        files: dict[str, bytes] = {}
        new_files: list[str] = []
        for blob in view.files(commit):
            if _SLOT not in blob.path or not is_request_path(blob.path) or blob.oid is None:
                continue
            data = view.content(blob.oid)
            if blob.path.startswith(its):
                files[blob.path] = data if len(data) <= most else b""
                continue
            if blob.path.startswith(news):
                new_files.append(blob.path)
            if name in data and len(data) <= most:
                files[blob.path] = data
        return RenameBase(commit, files, tuple(new_files))

    def head(self, number: int, revision: str, changes: Sequence[FileChange]) -> ChangedFiles:
        """Two to four calls."""
        if self._desk.mirror.fetch_pull(self._repo, number) != revision:
            raise HeadMoved
        with self._desk.mirror.read_fetched(self._repo) as view:
            return _in_view(view, revision, changes)

    def merged(self, old: str, new: str, commit: str) -> MergedCommit:
        """Two to eight calls."""
        with commit_and_parent(self._desk, self._repo, commit) as (view, parent):
            changes = tuple(_change(one) for one in view.differences(parent, commit))
            return MergedCommit(self._base(view, parent, old, new), changes, _in_view(view, commit, changes))


@contextmanager
def commit_and_parent(context: BoardContext, repo: Repo, commit: str) -> Iterator[tuple[MirrorView, str]]:
    """The mirror, once it has `commit` and the one before it, and which that is."""
    for depth in (0, DEPTH):
        context.mirror.fetch(repo, depth=depth)
        with context.mirror.read_fetched(repo) as view:
            parent = view.parent(commit) if view.has(commit) else None
            if parent is not None and view.has(parent):
                yield view, parent
                return
    raise MirrorDamaged(f"{commit} and the commit before it are not among the newest {DEPTH}")


def _change(one: GitDifference) -> FileChange:
    if one.now is None:
        return FileChange(one.path, "removed")
    return FileChange(one.path, "added" if one.was is None else "changed", one.mode)


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
    """Every path that `changes` touch; where a file was copied from is not touched."""
    paths = [path for one in changes for path in (one.paths if one.kind == "renamed" else (one.path,))]
    return list(dict.fromkeys(paths))


class ResultsSource:
    """The results repo, read file by file."""

    kind: Kind = "results"

    def __init__(self, context: BoardContext) -> None:
        self._desk, self._repo = context, context.results

    def base(self, old: str, new: str) -> RenameBase:
        """A call, one for each of the two folders, and one for each file of the old one."""
        return self._base(self._desk.hub.head(self._repo), old, new)

    def _base(self, commit: str, old: str, new: str) -> RenameBase:
        paths = self._listed(old, commit)
        return RenameBase(commit, self._read(paths, commit), tuple(self._listed(new, commit)))

    def _listed(self, folder: str, commit: str) -> list[str]:
        try:
            return [file.path for file in self._desk.hub.list_files(self._repo, commit, folder=folder)]
        except EntryNotFound:
            return []

    def _read(self, paths: Sequence[str], revision: str) -> dict[str, bytes]:
        if len(paths) > MOST_READ:
            raise TooMuchToRead(f"{len(paths):,} files of results, and {MOST_READ} are read")
        found: dict[str, bytes] = {}
        for path in paths:
            try:
                file = self._desk.hub.find_file(self._repo, path, revision, max_bytes=MAX_FILE)
            except TooLarge as error:
                raise TooMuchToRead(_too_large(path)) from error
            found |= {path: file.data} if file is not None else {}
        return found

    def head(
        self,
        number: int,  # noqa: ARG002  the commit is enough where files are read one by one
        revision: str,
        changes: Sequence[FileChange],
    ) -> ChangedFiles:
        """A call for all, and one for each file."""
        return self._head(revision, changes)

    def _head(self, revision: str, changes: Sequence[FileChange]) -> ChangedFiles:
        paths = touched(changes)
        there = self._desk.hub.paths_info(self._repo, paths, revision)
        oids = {path: there[path].oid if path in there else None for path in paths}
        return ChangedFiles(self._read([path for path in paths if path in there], revision), oids)

    def merged(self, old: str, new: str, commit: str) -> MergedCommit:
        """Two calls, those of `base`, and those of `head`."""
        _, before = self._desk.hub.commits(self._repo, commit, limit=2)
        changes = tuple(self._desk.hub.changes(self._repo, before.oid, commit, max_bytes=MAX_DIFF))
        return MergedCommit(self._base(before.oid, old, new), changes, self._head(commit, changes))
