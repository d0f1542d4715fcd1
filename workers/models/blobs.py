"""Blobs: the contents of a model's files as the Hub identifies them, and whether a file on this disk is one.

A file that was compared with its checksum gets the modification time COMPARED. A later comparison then reads its size
and time only; a file of another time is compared again.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from hub.file_checks import has_content
from workers.errors import DownloadError

COMPARED = 1_000_000_000
"""The modification time, in seconds, of a file that was compared with its checksum; a write changes it."""


class BlobDiffers(DownloadError):
    """A downloaded file differs from the Hub's size or checksum; it is removed."""


@dataclass(frozen=True)
class BlobRef:
    """The content of a file, identified by `sha256` if the Hub reports it, else by the git blob id `oid`."""

    size: int
    sha256: str = ""
    oid: str = ""

    @property
    def name(self) -> str:
        """The blob's name in the store; empty if nothing identifies it."""
        return self.sha256 or (f"git-{self.oid}" if self.oid else "")

    def is_in(self, file: Path) -> bool:
        """Whether `file` holds this content. Its checksum is computed unless it has size and time of a compared one.

        False also if another process removes the file meanwhile.
        """
        try:
            return file.is_file() and self._is_content_of(file)
        except FileNotFoundError:
            return False

    def _is_content_of(self, file: Path) -> bool:
        if self.size and file.stat().st_size != self.size:
            return False
        if file.stat().st_mtime_ns == COMPARED * 10**9:
            return True
        with file.open("rb") as stream:
            if self.name and not has_content(stream, self.sha256 or self.oid):
                return False
            os.utime(file, (COMPARED, COMPARED))
            os.fsync(stream.fileno())
        return True


def check_arrived(file: Path, blob: BlobRef) -> None:
    """Raise BlobDiffers if `file` is missing, or differs from the Hub's size or checksum; such a file is removed."""
    if not file.is_file():
        raise BlobDiffers(f"incomplete read: {file.name[:80]} did not arrive")
    if not blob.is_in(file):
        file.unlink()
        raise BlobDiffers(f"checksum mismatch: {file.name[:80]} arrived with other bytes than the Hub has")
