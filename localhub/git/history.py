"""The history of a repo: its log, and the last commit of each path."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import islice

import pygit2

from localhub.git import trees
from localhub.git.refs import commit_of
from localhub.git.repository import GitRepo

_CO_AUTHOR = re.compile(r"^co-authored-by:\s*([^<\n]+?)\s*<[^>\n]*>\s*$", re.IGNORECASE | re.MULTILINE)


@dataclass(frozen=True)
class CommitInfo:
    """One commit; `message` without its title."""

    id: str
    title: str
    message: str
    authors: tuple[str, ...]
    date: datetime
    parents: tuple[str, ...]


def log(git: GitRepo, start: str, *, skip: int = 0, limit: int | None = None) -> list[CommitInfo]:
    """The commits up to `start`, newest first."""
    with git.open() as repo:
        stop = None if limit is None else skip + limit
        return [_info(commit) for commit in islice(repo.walk(pygit2.Oid(hex=start)), skip, stop)]


def count(git: GitRepo, start: str) -> int:
    """The number of commits up to `start`, which each page of a log shows.

    For a commit with one parent it is that of the parent plus one. The counts are cached, so that the whole history is
    walked once and not for each page.
    """
    counts, newer, commit = git.counts, list[str](), start
    with git.open() as repo:
        while commit not in counts:
            parents = commit_of(repo, commit).parent_ids
            if len(parents) == 1:
                newer.append(commit)
                commit = str(parents[0])
            else:
                counts[commit] = sum(1 for _ in repo.walk(pygit2.Oid(hex=commit)))
    for number, descendant in enumerate(reversed(newer), counts[commit] + 1):
        counts[descendant] = number
    return counts[start]


def commit_info(git: GitRepo, commit: str) -> CommitInfo:
    """One commit."""
    return log(git, commit, limit=1)[0]


def last_commits(git: GitRepo, start: str, paths: Iterable[str]) -> dict[str, CommitInfo]:
    """The last commit up to `start` that changed each path.

    Walks back until every path has one; trees are compared folder by folder, and only if their ids differ.
    """
    pending: dict[str, set[str]] = defaultdict(set)
    for path in paths:
        folder, _, name = path.rpartition("/")
        pending[folder].add(name)
    last: dict[str, CommitInfo] = {}
    with git.open() as repo:
        for commit in repo.walk(pygit2.Oid(hex=start)):
            for path in _touched(repo, commit, pending):
                folder, _, name = path.rpartition("/")
                last[path] = _info(commit)
                pending[folder].discard(name)
            if not any(pending.values()):
                break
    return last


def _touched(repo: pygit2.Repository, commit: pygit2.Commit, names_by_folder: dict[str, set[str]]) -> Iterator[str]:
    """The paths among the given names, by folder, that differ between a commit and its parent."""
    before = commit.parents[0].tree_id if commit.parents else None
    if before == commit.tree_id:
        return
    for folder in [folder for folder, names in names_by_folder.items() if names]:
        old = _folder(repo, before, folder) if before else None
        new = _folder(repo, commit.tree_id, folder)
        if old == new:
            continue
        differing = trees.differing_names(trees.parse(repo, old), trees.parse(repo, new))
        for name in sorted(names_by_folder[folder]):
            if name.encode() in differing:
                yield f"{folder}/{name}" if folder else name


def _folder(repo: pygit2.Repository, root: pygit2.Oid, folder: str) -> pygit2.Oid | None:
    entry = trees.find(repo, root, folder)
    return pygit2.Oid(hex=entry.oid) if entry and entry.mode == trees.TREE else None


def _info(commit: pygit2.Commit) -> CommitInfo:
    title, _, message = commit.message.partition("\n")
    authors = dict.fromkeys([commit.author.name, *_CO_AUTHOR.findall(message)])
    return CommitInfo(
        id=str(commit.id),
        title=title,
        message=message.strip("\n"),
        authors=tuple(authors),
        date=datetime.fromtimestamp(commit.commit_time, UTC),
        parents=tuple(str(parent) for parent in commit.parent_ids),
    )
