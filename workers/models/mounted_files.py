"""Takes a model's files from a folder that the platform mounted, where they are those that the Hub names.

The folder is as untrusted as the network: a file counts only if its copy on this machine's disk has the Hub's size and
checksum. The child never reads the folder itself, because a network file system may fail, or return other bytes than
those that were compared.
"""

from __future__ import annotations

import logging
import os
import shutil
import stat
from collections.abc import Mapping
from pathlib import Path

from workers.models.blobs import BlobRef

log = logging.getLogger(__name__)


def copy_mounted(volume: Path, folder: Path, files: Mapping[str, BlobRef]) -> list[str]:
    """Copy those of `files` that `volume` has to `folder`. Return the names of the others, which still are missing."""
    others = [name for name, blob in files.items() if not _is_copied(volume / name, folder / name, blob)]
    for name in others:
        (folder / name).unlink(missing_ok=True)
    log.info("%d of %d files are taken from %s", len(files) - len(others), len(files), volume)
    return others


def _is_copied(source: Path, target: Path, blob: BlobRef) -> bool:
    """Whether `target` is now a copy of `source` with the content that the Hub names."""
    if not blob.name:
        return False
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        with os.fdopen(os.open(source, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK), "rb") as opened:
            status = os.fstat(opened.fileno())
            if not stat.S_ISREG(status.st_mode) or (blob.size and status.st_size != blob.size):
                return False
            with target.open("wb") as copy:
                shutil.copyfileobj(opened, copy, 1 << 20)
    except OSError as error:
        log.warning("%s cannot be read: %s", source, error)
        return False
    return blob.is_in(target)
