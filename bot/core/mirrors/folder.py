"""Where mirrors lie, and what can be wrong with them: apart from `bot.core.mirrors.mirror`, for all who need no git.

The web server reads no repo; without git's library it is a tenth smaller.
"""

from __future__ import annotations

import os
import stat
import tempfile
from pathlib import Path

from bot.core.settings import SettingsError


class MirrorDamaged(Exception):
    """Something that a mirror should hold is not there; it has to be discarded."""


class UnusableFolder(SettingsError):
    """The folder for the mirrors is full, cannot be made, is another account's, or open to others.

    The message names it, and what to do. Nothing of this is the Hub's fault.
    """


def trouble_with(folder: Path) -> str:
    """Why mirrors must not lie in `folder`, in words; empty where they may, also where it is yet to be made.

    Others on this machine must not put commits there for us to believe in.
    """
    try:
        found = folder.lstat()
    except (FileNotFoundError, NotADirectoryError):
        there = next(one for one in folder.absolute().parents if one.exists())
        may = there.is_dir() and os.access(there, os.W_OK | os.X_OK)
        return "" if may else f"{folder} cannot be made: this account may not write to {there}."
    if not stat.S_ISDIR(found.st_mode):
        return f"{folder} is not a folder."
    if found.st_uid != os.getuid():
        return f"{folder} belongs to another account (user {found.st_uid}, and we are {os.getuid()})."
    return f"{folder} can be written to by other accounts." if found.st_mode & 0o022 else ""


def default_folder() -> Path:
    """Where mirrors lie unless a setting says otherwise: below the system's folder for temporary files."""
    return Path(tempfile.gettempdir()) / f"steward-mirrors-{os.getuid()}"
