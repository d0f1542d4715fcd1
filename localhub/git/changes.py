"""Changes of files, and writing them as trees and commits."""

from __future__ import annotations

import re
import time
from collections.abc import Sequence
from dataclasses import dataclass

import pygit2

from localhub.git.packs import LooseWriter, ObjectWriter, PackWriter
from localhub.git.tree_edit import TreeEdit
from localhub.git.trees import FILE

_MIN_PACK_FILES = 256
"""The least number of files in a commit whose objects are written to one pack."""


@dataclass(frozen=True)
class Author:
    """The author of a commit."""

    name: str
    email: str


@dataclass(frozen=True)
class SetFile:
    """Set a file: to these bytes, or to the blob with this id."""

    path: str
    content: bytes | str
    mode: int = FILE


@dataclass(frozen=True)
class RemoveFile:
    """Remove a file or a folder; `folder` says which of the two it must be (None: either)."""

    path: str
    folder: bool | None = None


Change = SetFile | RemoveFile


_SYSTEM = Author("system", "system@huggingface.co")


def write_tree(repo: pygit2.Repository, base: pygit2.Oid | None, changes: Sequence[Change]) -> str:
    """Apply the changes to `base` and write the new tree; a large commit goes into one pack."""
    puts = sum(isinstance(change, SetFile) for change in changes)
    writer: ObjectWriter = PackWriter(repo) if puts >= _MIN_PACK_FILES else LooseWriter(repo)
    try:
        edit = TreeEdit(repo, base)
        for change in changes:
            if isinstance(change, RemoveFile):
                edit.remove(change.path, folder=change.folder)
            else:
                content = change.content
                edit.put(change.path, change.mode, content if isinstance(content, str) else writer.blob(content))
        tree = edit.write(writer)
    except BaseException:
        if isinstance(writer, PackWriter):
            writer.abandon()
        raise
    writer.finish()
    return str(tree)


def create_commit(
    repo: pygit2.Repository, tree: str, parents: Sequence[str], author: Author, message: str, when: float | None
) -> str:
    """Write a commit of an existing tree, without moving a ref."""
    signed, committer = signature(author, when), signature(_SYSTEM, when)
    oids: list[pygit2.Oid | str] = [pygit2.Oid(hex=parent) for parent in parents]
    return str(repo.create_commit(None, signed, committer, message, pygit2.Oid(hex=tree), oids))


def signature(author: Author, when: float | None) -> pygit2.Signature:
    """The signature of an author at a time in seconds, by default now."""
    # git ends a name at < and >, and allows no empty name.
    name = re.sub(r"[<>\n\x00]", " ", author.name).strip() or "unknown"
    email = re.sub(r"[<>\n\x00\s]", "", author.email) or "unknown"
    return pygit2.Signature(name, email, int(time.time() if when is None else when), 0)
