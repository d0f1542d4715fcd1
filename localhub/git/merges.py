"""Three-way merges, without a working tree.

Only paths that changed on either side can conflict, so libgit2 merges small trees that hold just those paths: the cost
of a merge depends on the pull request, not on the size of the repo. If the two sides changed different files and
deleted none (a deleted file may have been renamed), the result needs no merge.
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
    """The changes that bring the other side into the base, or the paths in conflict (True: unrelated histories)."""

    changes: tuple[Change, ...] = ()
    conflicts: tuple[str, ...] | Literal[True] = ()


@lru_cache(maxsize=256)
def merge(git: GitRepo, ours: str, theirs: str) -> TreeMerge:
    """Merge the commit `theirs` into the commit `ours`, without writing a commit or moving a ref."""
    ancestor = git.merge_base(ours, theirs)
    if ancestor is None:
        return TreeMerge(conflicts=True)
    their_changes = {change.path: change for change in git.changed_paths(ancestor, theirs)}
    if ancestor == ours:
        return TreeMerge(_as_changes(their_changes.values()))
    our_changes = {change.path: change for change in git.changed_paths(ancestor, ours)}
    if _change_different_paths(their_changes, our_changes):
        return TreeMerge(_as_changes(their_changes.values()))
    return _merge_trees(git, their_changes, our_changes)


def _as_changes(changed: Iterable[ChangedPath]) -> tuple[Change, ...]:
    """The changes, removals first: a file may replace a folder."""
    changes: list[Change] = []
    puts: list[Change] = []
    for change in changed:
        if change.new is None:
            changes.append(RemoveFile(change.path))
        else:
            puts.append(SetFile(change.path, change.new.oid, change.new.mode))
    return (*changes, *puts)


def _change_different_paths(their_changes: Mapping[str, ChangedPath], our_changes: Mapping[str, ChangedPath]) -> bool:
    if any(change.new is None for change in (*their_changes.values(), *our_changes.values())):
        return False
    folders = {str(folder) for path in (*their_changes, *our_changes) for folder in PurePosixPath(path).parents}
    return not their_changes.keys() & our_changes.keys() and not folders & (their_changes.keys() | our_changes.keys())


def _merge_trees(
    git: GitRepo, their_changes: Mapping[str, ChangedPath], our_changes: Mapping[str, ChangedPath]
) -> TreeMerge:
    touched = {**their_changes, **our_changes}
    before, ours, theirs = _side(touched, {}), _side(touched, our_changes), _side(touched, their_changes)
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
    """Files at whose path the other side has a folder, and the files in it: libgit2 reports no conflict for them."""
    inside = {path: files.keys() & {str(folder) for folder in PurePosixPath(path).parents} for path in files}
    return tuple(sorted(set().union(*inside.values(), (path for path, files_above in inside.items() if files_above))))


def _side(touched: Mapping[str, ChangedPath], own: Mapping[str, ChangedPath]) -> Files:
    """One side's version of the touched files: changed by that side, else as before."""
    entries = (own[path].new if path in own else change.old for path, change in touched.items())
    return {entry.path: entry for entry in entries if entry is not None}


def _write(repo: pygit2.Repository, files: Files) -> pygit2.Oid:
    index = pygit2.Index()
    for entry in files.values():
        index.add(pygit2.IndexEntry(entry.path, pygit2.Oid(hex=entry.oid), pygit2.enums.FileMode(entry.mode)))
    return index.write_tree(repo)


def _paths(conflicts: Iterable[tuple[pygit2.IndexEntry | None, ...]]) -> set[str]:
    return {str(entry.path) for conflict in conflicts for entry in conflict if entry is not None}
