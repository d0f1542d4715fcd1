"""The diff between two trees, in git's format.

libgit2 compares whole folders, which takes 70 ms for large ones. Two neighbouring commits differ in few files, so the
trees are compared by ids and only the changed files are diffed. If files were both removed and added, they may have
been renamed; then libgit2 makes the diff, because it detects renames.
"""

from __future__ import annotations

import pygit2

from localhub.git.trees import FILE, ChangedPath, TreeEntry, changed


def diff(repo: pygit2.Repository, old: pygit2.Oid | None, new: pygit2.Oid) -> str:
    """The diff between two trees; if `old` is None, all of `new` as added. Invalid UTF-8 is replaced."""
    changes = list(changed(repo, old, new))
    removed = any(change.new is None for change in changes)
    added = any(change.old is None for change in changes)
    plain = all(entry is None or entry.mode == FILE for change in changes for entry in (change.old, change.new))
    if old is not None and ((removed and added) or not plain):
        return _by_libgit2(repo, old, new)
    return "".join(_patch(repo, change) for change in changes)


def _patch(repo: pygit2.Repository, change: ChangedPath) -> str:
    # The variables keep the blobs alive: libgit2 points into them while the patch is read.
    before, after = _blob(repo, change.old), _blob(repo, change.new)
    patch = pygit2.Patch.create_from(before, after, change.path, change.path)
    data: bytes = patch.data if patch else b""
    return data.decode("utf-8", "replace")


def _blob(repo: pygit2.Repository, entry: TreeEntry | None) -> pygit2.Blob | None:
    blob = repo[pygit2.Oid(hex=entry.oid)] if entry else None
    return blob if isinstance(blob, pygit2.Blob) else None


def _by_libgit2(repo: pygit2.Repository, old: pygit2.Oid, new: pygit2.Oid) -> str:
    before, after = repo[old], repo[new]
    if not isinstance(before, pygit2.Tree) or not isinstance(after, pygit2.Tree):
        raise TypeError("a diff is between trees")
    tree_diff = before.diff_to_tree(after)
    tree_diff.find_similar()
    return "".join(patch.data.decode("utf-8", "replace") for patch in tree_diff if patch is not None)
