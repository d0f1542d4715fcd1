"""The map of the syncs."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import bot.sync

ROOM = Path(bot.sync.__path__[0])
FOLDERS = sorted(path.parent.name for path in ROOM.glob("*/__init__.py"))


def _named(folder: Path) -> set[str]:
    """The modules that the docstring of a folder's `__init__.py` names."""
    return set(re.findall(r"\w+\.py", (folder / "__init__.py").read_text()))


def test_every_folder_of_syncs_is_on_the_map() -> None:
    """Whoever adds a folder to `bot/sync` says what it is about, and whoever takes one away says so too."""
    assert (
        re.findall(r"^ +(\w+)/ ", bot.sync.__doc__ or "", re.MULTILINE)
        and sorted(re.findall(r"^ +(\w+)/ ", bot.sync.__doc__ or "", re.MULTILINE)) == FOLDERS
    )


@pytest.mark.parametrize("folder", [".", *FOLDERS])
def test_every_sync_is_on_the_map(folder: str) -> None:
    """Whoever adds a module to one of the folders says what it does there, and whoever takes one away says so too."""
    there = {path.name for path in (ROOM / folder).glob("*.py")} - {"__init__.py"}
    assert _named(ROOM / folder) == there
