"""Removing files from the whole history."""

from __future__ import annotations

from collections.abc import Iterable

import pygit2
from pygit2.enums import ObjectType, SortMode

from localhub.git import trees
from localhub.git.refs import RefChange
from localhub.git.repository import GitRepo


def without_blobs(git: GitRepo, contents: Iterable[bytes]) -> list[RefChange]:
    """Rewrite every branch so that no commit holds a file with one of these contents; return the moved branches.

    Every commit from the first with such a file on gets a new id. Pull requests keep their commits and can no longer be
    merged, because their commits belong to the old history.
    """
    with git.lock, git.open() as repo:
        unwanted = {pygit2.hash(content).raw for content in contents}
        rewriter = _Rewriter(repo, unwanted)
        heads = {ref: oid for ref, oid in git.refs().items() if ref.startswith("refs/heads/")}
        changes = [RefChange(ref, old, rewriter.history(old)) for ref, old in heads.items()]
        moved = [change for change in changes if change.new != change.old]
        for change in moved:
            git.update_ref(change.ref, change.new, change.old)
        return moved


class _Rewriter:
    """Rewrites commits and trees, each once: branches share most of them."""

    def __init__(self, repo: pygit2.Repository, unwanted: set[bytes]) -> None:
        self._repo = repo
        self._unwanted = unwanted
        self._commits: dict[str, str] = {}
        self._trees: dict[bytes, bytes | None] = {}

    def history(self, head: str) -> str:
        """The rewritten commit of `head`."""
        for commit in self._repo.walk(pygit2.Oid(hex=head), SortMode.TOPOLOGICAL | SortMode.REVERSE):
            if str(commit.id) not in self._commits:
                self._commits[str(commit.id)] = self._commit(commit)
        return self._commits[head]

    def _commit(self, commit: pygit2.Commit) -> str:
        tree = self._tree(commit.tree_id.raw) or self._repo.TreeBuilder().write().raw
        parents: list[pygit2.Oid | str] = [self._commits[str(parent)] for parent in commit.parent_ids]
        if tree == commit.tree_id.raw and parents == [str(parent) for parent in commit.parent_ids]:
            return str(commit.id)
        oid = pygit2.Oid(raw=tree)
        return str(self._repo.create_commit(None, commit.author, commit.committer, commit.message, oid, parents))

    def _tree(self, tree: bytes) -> bytes | None:
        """The tree without the unwanted files; None if it is then empty."""
        if tree not in self._trees:
            entries = {name: (mode, oid) for mode, name, oid in trees.parse(self._repo, pygit2.Oid(raw=tree))}
            remaining = {name: entry for name, entry in map(self._entry, entries.items()) if entry}
            raw = trees.serialise(remaining)
            written = tree if remaining == entries else self._repo.odb.write(int(ObjectType.TREE), raw).raw
            self._trees[tree] = written if remaining else None
        return self._trees[tree]

    def _entry(self, item: tuple[bytes, tuple[bytes, bytes]]) -> tuple[bytes, tuple[bytes, bytes] | None]:
        name, (mode, oid) = item
        if mode != b"40000":
            return name, None if oid in self._unwanted else (mode, oid)
        below = self._tree(oid)
        return name, (mode, below) if below else None
