"""Three-way merges, without a working tree.

Only paths that changed on either side can meet, so libgit2 merges small trees that hold those paths and nothing else:
a merge in a repo of 100,000 files costs what the pull request costs. Where the two sides touched different files and
none of them vanished (it may have been renamed), there is nothing to merge at all.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import PurePosixPath
from typing import Literal

import pygit2

from localhub.git.repository import Change, GitRepo, RemoveFile, SetFile
from localhub.git.trees import ChangedPath, TreeEntry

Files = dict[str, TreeEntry]


@dataclass(frozen=True)
class TreeMerge:
    """What the base must change to contain the other side, or the paths in conflict (True: unrelated histories)."""

    changes: tuple[Change, ...] = ()
    conflicts: tuple[str, ...] | Literal[True] = ()


@lru_cache(maxsize=256)
def merge(git: GitRepo, ours: str, theirs: str) -> TreeMerge:
    """Merges the commit `theirs` into the commit `ours`. Writes no commit and moves no ref."""
    ancestor = git.merge_base(ours, theirs)
    if ancestor is None:
        return TreeMerge(conflicts=True)
    wanted = {change.path: change for change in git.changed_paths(ancestor, theirs)}
    if ancestor == ours:
        return TreeMerge(_as_changes(wanted.values()))
    done = {change.path: change for change in git.changed_paths(ancestor, ours)}
    if _touch_different_paths(wanted, done):
        return TreeMerge(_as_changes(wanted.values()))
    return _merge_trees(git, wanted, done)


def _as_changes(changed: Iterable[ChangedPath]) -> tuple[Change, ...]:
    """Removals first: a file may take the place of a folder."""
    changes: list[Change] = []
    puts: list[Change] = []
    for change in changed:
        if change.new is None:
            changes.append(RemoveFile(change.path))
        else:
            puts.append(SetFile(change.path, change.new.oid, change.new.mode))
    return (*changes, *puts)


def _touch_different_paths(wanted: Mapping[str, ChangedPath], done: Mapping[str, ChangedPath]) -> bool:
    if any(change.new is None for change in (*wanted.values(), *done.values())):
        return False
    folders = {str(folder) for path in (*wanted, *done) for folder in PurePosixPath(path).parents}
    return not wanted.keys() & done.keys() and not folders & (wanted.keys() | done.keys())


def _merge_trees(git: GitRepo, wanted: Mapping[str, ChangedPath], done: Mapping[str, ChangedPath]) -> TreeMerge:
    before = _side({**wanted, **done}, {})
    ours, theirs = _side({**wanted, **done}, done), _side({**wanted, **done}, wanted)
    with git.open() as repo:
        index = repo.merge_trees(_write(repo, before), _write(repo, ours), _write(repo, theirs))
        if index.conflicts is not None:
            return TreeMerge(conflicts=tuple(sorted(_paths(index.conflicts))))
        merged = {str(entry.path): TreeEntry(str(entry.path), int(entry.mode), str(entry.id)) for entry in index}
    if clashes := _file_folder_conflicts(merged):
        return TreeMerge(conflicts=clashes)
    paths = sorted(ours.keys() | merged.keys())
    differing = [path for path in paths if ours.get(path) != merged.get(path)]
    return TreeMerge(_as_changes(ChangedPath(path, ours.get(path), merged.get(path)) for path in differing))


def _file_folder_conflicts(files: Files) -> tuple[str, ...]:
    """Files in whose place the other side made a folder, with what is in it: libgit2 lets both stand."""
    inside = {path: files.keys() & {str(folder) for folder in PurePosixPath(path).parents} for path in files}
    return tuple(sorted(set().union(*inside.values(), (path for path, found in inside.items() if found))))


def _side(touched: Mapping[str, ChangedPath], own: Mapping[str, ChangedPath]) -> Files:
    """The touched files as one side has them: by its own changes, else as they were before."""
    entries = (own[path].new if path in own else change.old for path, change in touched.items())
    return {entry.path: entry for entry in entries if entry is not None}


def _write(repo: pygit2.Repository, files: Files) -> pygit2.Oid:
    index = pygit2.Index()
    for entry in files.values():
        index.add(pygit2.IndexEntry(entry.path, pygit2.Oid(hex=entry.oid), pygit2.enums.FileMode(entry.mode)))
    return index.write_tree(repo)


def _paths(conflicts: Iterable[tuple[pygit2.IndexEntry | None, ...]]) -> set[str]:
    return {str(entry.path) for conflict in conflicts for entry in conflict if entry is not None}
