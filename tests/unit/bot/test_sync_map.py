"""The map of the syncs."""

from __future__ import annotations

import re
from pathlib import Path

import bot.sync


def test_every_sync_is_on_the_map() -> None:
    """Whoever adds a module to `bot/sync` says where it belongs, and whoever takes one away says so too."""
    there = {path.name for path in Path(bot.sync.__path__[0]).glob("*.py")} - {"__init__.py"}
    assert set(re.findall(r"\w+\.py", bot.sync.__doc__ or "")) == there
