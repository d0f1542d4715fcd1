"""The diff between two trees, in git's own words.

libgit2 compares whole folders: 70 ms where they are large. Two neighbouring commits differ in a file or two, so the
trees are walked by id and only the changed files are diffed. Where files both vanished and appeared they may have been
renamed; finding that out is left to libgit2.
"""

from __future__ import annotations

import pygit2

from localhub.git.trees import FILE, ChangedPath, TreeEntry, changed


def diff(repo: pygit2.Repository, old: pygit2.Oid | None, new: pygit2.Oid) -> str:
    """The diff between two trees, from nothing where `old` is None; text that is no UTF-8 is replaced."""
    changes = list(changed(repo, old, new))
    vanished = any(change.new is None for change in changes)
    appeared = any(change.old is None for change in changes)
    plain = all(entry is None or entry.mode == FILE for change in changes for entry in (change.old, change.new))
    if old is not None and ((vanished and appeared) or not plain):
        return _by_libgit2(repo, old, new)
    return "".join(_patch(repo, change) for change in changes)


def _patch(repo: pygit2.Repository, change: ChangedPath) -> str:
    # Held in names: libgit2 keeps pointing into the blobs while the patch is read.
    before, after = _blob(repo, change.old), _blob(repo, change.new)
    patch = pygit2.Patch.create_from(before, after, change.path, change.path)
    data: bytes = patch.data if patch else b""
    return data.decode("utf-8", "replace")


def _blob(repo: pygit2.Repository, entry: TreeEntry | None) -> pygit2.Blob | None:
    found = repo[pygit2.Oid(hex=entry.oid)] if entry else None
    return found if isinstance(found, pygit2.Blob) else None


def _by_libgit2(repo: pygit2.Repository, old: pygit2.Oid, new: pygit2.Oid) -> str:
    before, after = repo[old], repo[new]
    if not isinstance(before, pygit2.Tree) or not isinstance(after, pygit2.Tree):
        raise TypeError("a diff is between trees")
    found = before.diff_to_tree(after)
    found.find_similar()
    return "".join(patch.data.decode("utf-8", "replace") for patch in found if patch is not None)
