"""The size and the removal of folders that a child may have filled in any way."""

from __future__ import annotations

import os
import uuid
from contextlib import suppress
from pathlib import Path


def folder_bytes(folder: Path) -> int:
    """Bytes of the files below `folder`, which may change meanwhile; links are not followed.

    Raises OSError where a folder cannot be read: its permissions forbid it, or its path is too long.
    """
    total, folders = 0, [str(folder)]
    while folders:
        with suppress(FileNotFoundError, NotADirectoryError), os.scandir(folders.pop()) as entries:
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    folders.append(entry.path)
                else:
                    with suppress(FileNotFoundError):
                        total += entry.stat(follow_symlinks=False).st_size
    return total


def remove_folder(folder: Path) -> None:
    """Remove `folder`, if it exists, and everything below it, whatever a child did to it.

    shutil.rmtree fails on folders without permissions, and on trees deeper than paths may be long or calls may nest;
    that would then fail every later attempt. Here each folder is made accessible and moved to the top, then emptied.
    """
    if not folder.exists():
        return
    folders = [folder]
    while folders:
        current = folders.pop()
        current.chmod(0o700)
        with os.scandir(current) as scan:
            entries = list(scan)
        for entry in entries:
            if not entry.is_dir(follow_symlinks=False):
                Path(entry).unlink()
                continue
            Path(entry).chmod(0o700)  # a folder without permissions cannot be moved
            folders.append(Path(entry).rename(folder / uuid.uuid4().hex))
        if current != folder:
            current.rmdir()
    folder.rmdir()
