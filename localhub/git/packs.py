"""Writers of a commit's objects: as loose files, or for large commits in one pack.

A hundred thousand loose files take minutes to write and slow every clone; a pack of the same objects takes seconds.
libgit2 cannot write a pack of objects that are not in a repo yet, so this module writes the format: a header, the
compressed objects, a SHA-1; and beside it the index, version 2, of sorted ids, checksums and offsets.
"""

from __future__ import annotations

import hashlib
import os
import struct
import zlib
from pathlib import Path
from typing import Protocol

import pygit2
from pygit2.enums import ObjectType

from localhub.git.tree_edit import TreeWriter
from localhub.git.trees import TreeEntry, parse, serialise

_TYPES = {"commit": 1, "tree": 2, "blob": 3}


class ObjectWriter(TreeWriter, Protocol):
    """Writes the objects of one commit; they can be read once `finish` has returned."""

    def blob(self, data: bytes) -> str:
        """Write a file's content; return its id."""

    def finish(self) -> None:
        """Make the written objects visible."""


class LooseWriter:
    """Writes each object to its own file: for the usual commit of a few files."""

    def __init__(self, repo: pygit2.Repository) -> None:
        self._repo = repo

    def blob(self, data: bytes) -> str:
        """Write a file's content; return its id."""
        return str(self._repo.odb.write(int(ObjectType.BLOB), data))

    def tree(self, base: pygit2.Oid | None, edits: dict[str, TreeEntry | None]) -> pygit2.Oid:
        """Write `base` with the edits; return the new tree's id."""
        tree = self._repo[base] if base else None
        builder = self._repo.TreeBuilder(tree) if isinstance(tree, pygit2.Tree) else self._repo.TreeBuilder()
        for name, entry in edits.items():
            if entry is not None:
                builder.insert(name, pygit2.Oid(hex=entry.oid), entry.mode)
            elif builder.get(name) is not None:
                builder.remove(name)
        return builder.write()

    def finish(self) -> None:
        """Do nothing: loose objects are visible at once."""


class PackWriter:
    """Writes all objects to one pack, which becomes visible as a whole."""

    def __init__(self, repo: pygit2.Repository) -> None:
        self._repo = repo
        self._folder = Path(repo.path) / "objects" / "pack"
        self._path = self._folder / f"tmp_pack_{os.getpid()}_{id(self):x}"
        self._file = self._path.open("w+b")
        self._file.write(b"PACK" + struct.pack(">II", 2, 0))
        self._index: dict[bytes, tuple[int, int]] = {}

    def blob(self, data: bytes) -> str:
        """Add a file's content; return its id."""
        return self._add("blob", data).hex()

    def tree(self, base: pygit2.Oid | None, edits: dict[str, TreeEntry | None]) -> pygit2.Oid:
        """Add `base` with the edits; return the new tree's id."""
        entries = {name: (mode, oid) for mode, name, oid in parse(self._repo, base)}
        for name, entry in edits.items():
            if entry is None:
                entries.pop(name.encode(), None)
            else:
                entries[name.encode()] = (f"{entry.mode:o}".encode(), bytes.fromhex(entry.oid))
        return pygit2.Oid(raw=self._add("tree", serialise(entries)))

    def finish(self) -> None:
        """Complete the pack, write its index, and make both visible."""
        self._file.seek(8)
        self._file.write(struct.pack(">I", len(self._index)))
        self._file.seek(0)
        checksum = hashlib.file_digest(self._file, lambda: hashlib.sha1(usedforsecurity=False)).digest()
        self._file.seek(0, os.SEEK_END)
        self._file.write(checksum)
        self._file.close()
        final = self._folder / f"pack-{checksum.hex()}"
        # The index comes last: git ignores a pack without one.
        self._path.rename(final.with_suffix(".pack"))
        pending = self._path.with_suffix(".idx")
        pending.write_bytes(self._index_bytes(checksum))
        pending.rename(final.with_suffix(".idx"))

    def abandon(self) -> None:
        """Delete the unfinished pack."""
        self._file.close()
        self._path.unlink(missing_ok=True)

    def _add(self, kind: str, data: bytes) -> bytes:
        oid = hashlib.sha1(f"{kind} {len(data)}\0".encode() + data, usedforsecurity=False).digest()
        if oid not in self._index:
            record = _record_header(_TYPES[kind], len(data)) + zlib.compress(data, 1)
            self._index[oid] = (self._file.tell(), zlib.crc32(record))
            self._file.write(record)
        return oid

    def _index_bytes(self, pack_checksum: bytes) -> bytes:
        ids = sorted(self._index)
        counts = [0] * 256
        for oid in ids:
            counts[oid[0]] += 1
        fanout, total = [], 0
        for count in counts:
            total += count
            fanout.append(total)
        offsets = [self._index[oid][0] for oid in ids]
        large = [offset for offset in offsets if offset >= 1 << 31]
        numbers = {offset: (1 << 31) | position for position, offset in enumerate(large)}
        body = b"\xfftOc" + struct.pack(">I", 2) + struct.pack(">256I", *fanout) + b"".join(ids)
        body += struct.pack(f">{len(ids)}I", *(self._index[oid][1] for oid in ids))
        body += struct.pack(f">{len(ids)}I", *(numbers.get(offset, offset) for offset in offsets))
        body += struct.pack(f">{len(large)}Q", *large) + pack_checksum
        return body + hashlib.sha1(body, usedforsecurity=False).digest()


def _record_header(kind: int, size: int) -> bytes:
    """Type and size: four bits of the size in the first byte, then seven in each, lowest first."""
    byte, size = (kind << 4) | (size & 15), size >> 4
    header = bytearray()
    while size:
        header.append(byte | 0x80)
        byte, size = size & 0x7F, size >> 7
    header.append(byte)
    return bytes(header)
