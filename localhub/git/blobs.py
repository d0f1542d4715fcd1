"""What is known of a blob by its id alone."""

from __future__ import annotations

from dataclasses import dataclass

import pygit2

from localhub.git.lfs_pointer import POINTER_MAX, POINTER_MIN, Pointer, parse_pointer


@dataclass(frozen=True, slots=True)
class BlobFacts:
    """The size of a blob in git, and the LFS pointer that it is, if it is one."""

    git_size: int
    pointer: Pointer | None

    @property
    def size(self) -> int:
        """The size of the file that people see."""
        return self.pointer.size if self.pointer else self.git_size


def blob_facts(repo: pygit2.Repository, oid: str) -> BlobFacts:
    """Size and pointer of a blob: its content is read only where it could be a pointer."""
    _, size = repo.odb.read_header(pygit2.Oid(hex=oid))
    may_point = POINTER_MIN <= size <= POINTER_MAX
    return BlobFacts(size, parse_pointer(repo.odb.read(pygit2.Oid(hex=oid))[1]) if may_point else None)
