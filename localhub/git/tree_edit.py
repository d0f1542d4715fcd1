"""Edits of a git tree, in memory until written; only the trees along the changed paths are rewritten."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol

import pygit2

from localhub.errors import BadRequest, EntryNotFound
from localhub.git.trees import TREE, TreeEntry


class TreeWriter(Protocol):
    """Writes new trees: as loose objects, or into a pack."""

    def tree(self, base: pygit2.Oid | None, edits: dict[str, TreeEntry | None]) -> pygit2.Oid:
        """Write `base` with the edits (by name; None removes); return the new tree's id."""


@dataclass
class _Folder:
    """A folder under edit: the entries of `base`, overlaid by `edits` (None: removed)."""

    base: pygit2.Tree | None
    edits: dict[str, TreeEntry | _Folder | None] = field(default_factory=dict)

    def child(self, name: str, repo: pygit2.Repository) -> TreeEntry | _Folder | None:
        if name in self.edits:
            return self.edits[name]
        if self.base is None or name not in self.base:
            return None
        entry = self.base[name]
        if entry.filemode != TREE:
            return TreeEntry(name, int(entry.filemode), str(entry.id))
        self.edits[name] = folder = _Folder(_as_tree(repo[entry.id]))
        return folder

    def is_empty(self, repo: pygit2.Repository) -> bool:
        names = {entry.name or "" for entry in self.base or ()} | self.edits.keys()
        children = (self.child(name, repo) for name in names)
        return all(child is None or (isinstance(child, _Folder) and child.is_empty(repo)) for child in children)


class TreeEdit:
    """Edits of one tree, in memory until written."""

    def __init__(self, repo: pygit2.Repository, root: pygit2.Oid | None) -> None:
        self._repo = repo
        self._root = _Folder(_as_tree(repo[root]) if root else None)

    def remove(self, path: str, *, folder: bool | None = None) -> None:
        """Remove a file or a folder (`folder`: which of the two it must be); `EntryNotFound` if there is none."""
        *parents, name = path.split("/")
        parent: TreeEntry | _Folder | None = self._root
        for part in parents:
            parent = parent.child(part, self._repo) if isinstance(parent, _Folder) else None
        child = parent.child(name, self._repo) if isinstance(parent, _Folder) else None
        is_folder = isinstance(child, _Folder)
        if child is None or (folder is not None and folder != is_folder) or not isinstance(parent, _Folder):
            # The client recognises this message and adds advice to it.
            raise EntryNotFound(path, message="A file with this name doesn't exist")
        parent.edits[name] = None

    def put(self, path: str, mode: int, oid: str) -> None:
        """Set a file; `BadRequest` if a folder has its path, or a file has the path of one of its folders."""
        *parents, name = path.split("/")
        folder = self._root
        for part in parents:
            child = folder.child(part, self._repo)
            if isinstance(child, TreeEntry):
                raise BadRequest(f"Cannot write {path}: {part} is a file and not a folder.")
            if child is None:
                folder.edits[part] = child = _Folder(None)
            folder = child
        child = folder.child(name, self._repo)
        if isinstance(child, _Folder) and not child.is_empty(self._repo):
            raise BadRequest(f"Cannot write {path}: there is a folder of that name.")
        folder.edits[name] = TreeEntry(name, mode, oid)

    def write(self, writer: TreeWriter) -> pygit2.Oid:
        """Write the edited trees; return the id of the new root. An empty root is git's empty tree."""
        return _write(self._root, writer) or writer.tree(None, {})


def _write(folder: _Folder, writer: TreeWriter) -> pygit2.Oid | None:
    """Write the folder's tree; return its id, or None if the folder is empty."""
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


def _as_tree(git_object: pygit2.Object) -> pygit2.Tree:
    if not isinstance(git_object, pygit2.Tree):
        raise TypeError(f"{git_object.id} is no tree")
    return git_object
