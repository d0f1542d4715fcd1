"""Edits of a git tree, kept in memory until written: the trees along the touched paths are rewritten, and no other."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol

import pygit2

from localhub.errors import BadRequest, EntryNotFound
from localhub.git.trees import TREE, TreeEntry


class TreeWriter(Protocol):
    """Where new trees go: to loose objects, or into a pack."""

    def tree(self, base: pygit2.Oid | None, edits: dict[str, TreeEntry | None]) -> pygit2.Oid:
        """Writes `base` with the edits (by name; None removes)."""


@dataclass
class _Folder:
    """A folder under edit: what stands in `base`, overlaid by `edits` (None: removed)."""

    base: pygit2.Tree | None
    edits: dict[str, TreeEntry | _Folder | None] = field(default_factory=dict)

    def child(self, name: str, repo: pygit2.Repository) -> TreeEntry | _Folder | None:
        if name in self.edits:
            return self.edits[name]
        if self.base is None or name not in self.base:
            return None
        found = self.base[name]
        if found.filemode != TREE:
            return TreeEntry(name, int(found.filemode), str(found.id))
        self.edits[name] = folder = _Folder(_as_tree(repo[found.id]))
        return folder

    def is_empty(self, repo: pygit2.Repository) -> bool:
        names = {entry.name or "" for entry in self.base or ()} | self.edits.keys()
        children = (self.child(name, repo) for name in names)
        return all(child is None or (isinstance(child, _Folder) and child.is_empty(repo)) for child in children)


class TreeEdit:
    """Edits of one tree, kept in memory until written."""

    def __init__(self, repo: pygit2.Repository, root: pygit2.Oid | None) -> None:
        self._repo = repo
        self._root = _Folder(_as_tree(repo[root]) if root else None)

    def remove(self, path: str, *, folder: bool | None = None) -> None:
        """Takes a file or a folder away (`folder`: which it must be); `EntryNotFound` where there is none."""
        *parents, name = path.split("/")
        parent: TreeEntry | _Folder | None = self._root
        for part in parents:
            parent = parent.child(part, self._repo) if isinstance(parent, _Folder) else None
        child = parent.child(name, self._repo) if isinstance(parent, _Folder) else None
        is_folder = isinstance(child, _Folder)
        if child is None or (folder is not None and folder != is_folder) or not isinstance(parent, _Folder):
            # The client recognises these words and adds what to do.
            raise EntryNotFound(path, what="A file with this name doesn't exist")
        parent.edits[name] = None

    def put(self, path: str, mode: int, oid: str) -> None:
        """Sets a file; `BadRequest` where a folder stands in its place, or a file in place of one of its folders."""
        *parents, name = path.split("/")
        folder = self._root
        for part in parents:
            child = folder.child(part, self._repo)
            if isinstance(child, TreeEntry):
                raise BadRequest(f"Cannot write {path}: {part} is a file and not a folder.")
            if child is None:
                folder.edits[part] = child = _Folder(None)
            folder = child
        there = folder.child(name, self._repo)
        if isinstance(there, _Folder) and not there.is_empty(self._repo):
            raise BadRequest(f"Cannot write {path}: there is a folder of that name.")
        folder.edits[name] = TreeEntry(name, mode, oid)

    def get(self, path: str) -> TreeEntry | None:
        """The file at a path, as edited so far."""
        node: TreeEntry | _Folder | None = self._root
        for part in path.split("/"):
            node = node.child(part, self._repo) if isinstance(node, _Folder) else None
        return node if isinstance(node, TreeEntry) else None

    def write(self, writer: TreeWriter) -> pygit2.Oid:
        """Writes what was edited; the id of the new root. An empty root is git's empty tree."""
        return _write(self._root, writer) or writer.tree(None, {})


def _write(folder: _Folder, writer: TreeWriter) -> pygit2.Oid | None:
    """The folder's tree; None where nothing is left in it."""
    edits: dict[str, TreeEntry | None] = {}
    for name, child in folder.edits.items():
        if isinstance(child, _Folder):
            oid = _write(child, writer)
            child = TreeEntry(name, TREE, str(oid)) if oid else None
        edits[name] = child
    if not edits:
        return folder.base.id if folder.base is not None else None
    if not any(edits.values()) and not {entry.name for entry in folder.base or ()} - edits.keys():
        return None
    return writer.tree(folder.base.id if folder.base is not None else None, edits)


def _as_tree(found: pygit2.Object) -> pygit2.Tree:
    if not isinstance(found, pygit2.Tree):
        raise TypeError(f"{found.id} is no tree")
    return found
