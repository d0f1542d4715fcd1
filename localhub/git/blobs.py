"""Facts about a blob, which depend on its id alone."""

from __future__ import annotations

from dataclasses import dataclass

import pygit2

from localhub.git.lfs_pointer import POINTER_MAX_BYTES, POINTER_MIN_BYTES, Pointer, parse_pointer


@dataclass(frozen=True, slots=True)
class BlobFacts:
    """The size of a blob in git, and its LFS pointer, if it is one."""

    git_size: int
    pointer: Pointer | None

    @property
    def size(self) -> int:
        """The size of the file, for a pointer that of the large file."""
        return self.pointer.size if self.pointer else self.git_size


def blob_facts(repo: pygit2.Repository, oid: str) -> BlobFacts:
    """Size and pointer of a blob; the content is read only if its size is that of a pointer."""
    _, size = repo.odb.read_header(pygit2.Oid(hex=oid))
    may_point = POINTER_MIN_BYTES <= size <= POINTER_MAX_BYTES
    return BlobFacts(size, parse_pointer(repo.odb.read(pygit2.Oid(hex=oid))[1]) if may_point else None)
