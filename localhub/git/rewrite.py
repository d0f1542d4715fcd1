"""Taking files out of the whole history, as if they had never been committed."""

from __future__ import annotations

from collections.abc import Iterable

import pygit2
from pygit2.enums import ObjectType, SortMode

from localhub.git import trees
from localhub.git.refs import RefChange
from localhub.git.repository import GitRepo


def without_blobs(git: GitRepo, contents: Iterable[bytes]) -> list[RefChange]:
    """Rewrites every branch so that no commit holds a file with one of these contents; which branches moved.

    Every commit from the first that held one on gets another id. Pull requests keep their commits, and can no longer
    be merged: they come from a history that is gone.
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
    """Remembers what became of each commit and tree: branches share most of them."""

    def __init__(self, repo: pygit2.Repository, unwanted: set[bytes]) -> None:
        self._repo = repo
        self._unwanted = unwanted
        self._commits: dict[str, str] = {}
        self._trees: dict[bytes, bytes | None] = {}

    def history(self, head: str) -> str:
        """The commit that takes the place of `head`."""
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
        """The tree without the unwanted files; None where nothing is left of it."""
        if tree not in self._trees:
            entries = {name: (mode, oid) for mode, name, oid in trees.parse(self._repo, pygit2.Oid(raw=tree))}
            kept = {name: entry for name, entry in map(self._entry, entries.items()) if entry}
            raw = trees.serialise(kept)
            written = tree if kept == entries else self._repo.odb.write(int(ObjectType.TREE), raw).raw
            self._trees[tree] = written if kept else None
        return self._trees[tree]

    def _entry(self, item: tuple[bytes, tuple[bytes, bytes]]) -> tuple[bytes, tuple[bytes, bytes] | None]:
        name, (mode, oid) = item
        if mode != b"40000":
            return name, None if oid in self._unwanted else (mode, oid)
        below = self._tree(oid)
        return name, (mode, below) if below else None
