"""The maps of the bot's folders: a docstring that says where to look."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import bot.sync

BOT = Path(bot.__path__[0])
SYNCS = sorted(path.parent.name for path in BOT.glob("sync/*/__init__.py"))


def test_every_folder_of_syncs_is_on_the_map() -> None:
    """Whoever adds a folder to `bot/sync` says what it is about, and whoever takes one away says so too."""
    told = re.findall(r"^ +(\w+)/ ", bot.sync.__doc__ or "", re.MULTILINE)
    assert told and sorted(told) == SYNCS


@pytest.mark.parametrize("folder", ["state", "mirrors", "past", "sync", *(f"sync/{name}" for name in SYNCS)])
def test_every_module_is_on_the_map(folder: str) -> None:
    """Whoever adds a module to one of the folders says what it does there, and whoever takes one away says so too."""
    there = {path.name for path in (BOT / folder).glob("*.py")} - {"__init__.py"}
    assert set(re.findall(r"\w+\.py", (BOT / folder / "__init__.py").read_text())) == there
