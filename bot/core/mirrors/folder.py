"""The folder of the mirrors, and errors of mirrors. It is separate from `bot.core.mirrors.mirror`, which imports git.

The web server reads no repo; without git's library it needs a tenth less memory.
"""

from __future__ import annotations

import os
import stat
import tempfile
from pathlib import Path

from bot.core.settings import SettingsError


class MirrorDamaged(Exception):
    """An object is missing in a mirror, which has to be discarded."""


class UnusableFolder(SettingsError):
    """The folder for the mirrors is full, cannot be created, belongs to another account, or is open to others.

    The message names the folder and the remedy. The Hub is not the cause.
    """


def trouble_with(folder: Path) -> str:
    """The reason why `folder` must not hold mirrors; empty if it may, or if it can be created.

    Other accounts on this machine must not be able to put commits there that the bot would trust.
    """
    try:
        status = folder.lstat()
    except (FileNotFoundError, NotADirectoryError):
        parent = next(path for path in folder.absolute().parents if path.exists())
        is_writable = parent.is_dir() and os.access(parent, os.W_OK | os.X_OK)
        return "" if is_writable else f"{folder} cannot be created: this account may not write to {parent}."
    if not stat.S_ISDIR(status.st_mode):
        return f"{folder} is not a folder."
    if status.st_uid != os.getuid():
        return f"{folder} belongs to another account (user {status.st_uid}; this process runs as user {os.getuid()})."
    return f"{folder} can be written to by other accounts." if status.st_mode & 0o022 else ""


def default_folder() -> Path:
    """The default folder of the mirrors, below the system's folder for temporary files."""
    return Path(tempfile.gettempdir()) / f"steward-mirrors-{os.getuid()}"
