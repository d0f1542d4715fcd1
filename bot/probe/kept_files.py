"""Downloaded files that are kept for a while, so that the next question about one does not download it again."""

from __future__ import annotations

import os
import secrets
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

MAX_BYTES, KEPT_SECONDS = 128 * 2**20, 900.0


class KeptFiles:
    """A cache of files by the id of their content, in a folder `kept` below that of `parent`. When a file is added, the
    files unused for KEPT_SECONDS, and those above MAX_BYTES in all, are removed. Safe to share among threads."""

    def __init__(self, parent: Callable[[], Path]) -> None:
        self._parent = parent

    def link(self, oid: str, place: Path, save: Callable[[BinaryIO], None]) -> None:
        """Put the file with the id `oid` at `place`; `save` writes it if it is not kept."""
        folder = self._parent() / "kept"
        folder.mkdir(exist_ok=True)
        try:
            os.link(folder / oid, place)
        except FileNotFoundError:
            new = folder / f"new-{secrets.token_hex(8)}"
            try:
                with new.open("w+b") as file:
                    save(file)
                os.link(new, place)
                new.replace(folder / oid)
            finally:
                new.unlink(missing_ok=True)
            self._trim(folder)
        os.utime(place)

    def _trim(self, folder: Path) -> None:
        """Remove files that were not used for long, and the longest unused ones above MAX_BYTES."""
        left, now = MAX_BYTES, time.time()
        files = []
        for path in folder.iterdir():
            with suppress(FileNotFoundError):  # another thread removed it meanwhile
                files += [(path, path.stat())] if not path.name.startswith("new-") else []
        for path, stat in sorted(files, key=lambda pair: -pair[1].st_mtime):
            left -= stat.st_size
            if left < 0 or now - stat.st_mtime > KEPT_SECONDS:
                path.unlink(missing_ok=True)
