"""Refs, and the commits that the names of revisions lead to."""

from __future__ import annotations

import re
from dataclasses import dataclass

import pygit2

from localhub.errors import RevisionNotFound

MAIN = "refs/heads/main"
_REV = re.compile(r"(?P<base>.+?)(?P<steps>(?:\^|~[0-9]{1,6})*)", re.DOTALL)
_OID = re.compile(r"[0-9a-f]{7,40}")


@dataclass(frozen=True)
class RefChange:
    """A ref that moved: `old` is None if it was created, `new` if it was deleted."""

    ref: str
    old: str | None
    new: str | None


def head_of(repo: pygit2.Repository, ref: str) -> str | None:
    """The commit that a full ref leads to; None if there is none."""
    try:
        return str(repo.references[ref].peel(pygit2.Commit).id)
    except (KeyError, ValueError, pygit2.GitError):
        return None


def raw_target(repo: pygit2.Repository, ref: str) -> str | None:
    """The object that a ref points to: for an annotated tag the tag object."""
    try:
        return str(repo.references[ref].target)
    except (KeyError, ValueError, pygit2.GitError):
        return None


def commit_of(repo: pygit2.Repository, oid: str) -> pygit2.Commit:
    """The commit with that id; `RevisionNotFound` if there is none."""
    commit = repo.get(oid)
    if not isinstance(commit, pygit2.Commit):
        raise RevisionNotFound(oid)
    return commit


def resolve(repo: pygit2.Repository, rev: str) -> pygit2.Commit:
    """The commit of a branch, tag, `refs/…` or (abbreviated) id, with `^` and `~n`; `RevisionNotFound` for others."""
    match = _REV.fullmatch(rev)
    commit = _named(repo, match["base"]) if match else None
    for step in re.findall(r"\^|~[0-9]+", match["steps"]) if match else ():
        for _ in range(1 if step == "^" else int(step[1:])):
            commit = commit.parents[0] if commit and commit.parents else None
    if commit is None:
        raise RevisionNotFound(rev)
    return commit


def _named(repo: pygit2.Repository, name: str) -> pygit2.Commit | None:
    candidates = [name] if name.startswith("refs/") else [f"refs/heads/{name}", f"refs/tags/{name}"]
    for ref in [MAIN] if name == "HEAD" else candidates:
        if head := head_of(repo, ref):
            return commit_of(repo, head)
    if not _OID.fullmatch(name):
        return None
    try:
        commit = repo.get(name)
    except ValueError:  # an abbreviation of several ids
        return None
    return commit if isinstance(commit, pygit2.Commit) else None
