"""What happened to a repo: its log, and which commit last touched a path."""

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
    """The commits that lead to `start`, the newest first."""
    with git.open() as repo:
        stop = None if limit is None else skip + limit
        return [_info(commit) for commit in islice(repo.walk(pygit2.Oid(hex=start)), skip, stop)]


def count(git: GitRepo, start: str) -> int:
    """How many commits lead to `start`. Each page of a log says so: of a commit with one parent it is one more than of
    that parent, so the whole history is walked once, and not for each page."""
    known, newer, at = git.counts, list[str](), start
    with git.open() as repo:
        while at not in known:
            parents = commit_of(repo, at).parent_ids
            if len(parents) == 1:
                newer.append(at)
                at = str(parents[0])
            else:
                known[at] = sum(1 for _ in repo.walk(pygit2.Oid(hex=at)))
    for number, commit in enumerate(reversed(newer), known[at] + 1):
        known[commit] = number
    return known[start]


def commit_info(git: GitRepo, commit: str) -> CommitInfo:
    """One commit."""
    return log(git, commit, limit=1)[0]


def last_commits(git: GitRepo, start: str, paths: Iterable[str]) -> dict[str, CommitInfo]:
    """The commit that last touched each path, looking back from `start`.

    Walks back until all are found: trees are compared only where their ids differ, folder by folder.
    """
    pending: dict[str, set[str]] = defaultdict(set)
    for path in paths:
        folder, _, name = path.rpartition("/")
        pending[folder].add(name)
    found: dict[str, CommitInfo] = {}
    with git.open() as repo:
        for commit in repo.walk(pygit2.Oid(hex=start)):
            for path in _touched(repo, commit, pending):
                folder, _, name = path.rpartition("/")
                found[path] = _info(commit)
                pending[folder].discard(name)
            if not any(pending.values()):
                break
    return found


def _touched(repo: pygit2.Repository, commit: pygit2.Commit, wanted: dict[str, set[str]]) -> Iterator[str]:
    """Which of the wanted names, by folder, differ between a commit and its parent."""
    before = commit.parents[0].tree_id if commit.parents else None
    if before == commit.tree_id:
        return
    for folder in [folder for folder, names in wanted.items() if names]:
        old = _folder(repo, before, folder) if before else None
        new = _folder(repo, commit.tree_id, folder)
        if old == new:
            continue
        differing = trees.differing_names(trees.parse(repo, old), trees.parse(repo, new))
        for name in sorted(wanted[folder]):
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
