"""Hubs for boards, each a copy of the first Hub with the same world: building one takes longer than all the rest."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from localhub.testing import LocalHub
from localhub.world import open_hub


@cache
def _built(world: str) -> tempfile.TemporaryDirectory[str]:
    """A folder with a Hub of `world` (JSON); it is removed when the test process ends."""
    folder = tempfile.TemporaryDirectory(prefix="steward-world-")
    open_hub(Path(folder.name), json.loads(world)).close()
    return folder


def hub_with(world: Mapping[str, Any], folder: Path) -> LocalHub:
    """A running Hub in `folder`, which is empty or missing, with `world` in it."""
    shutil.copytree(_built(json.dumps(world)).name, folder, dirs_exist_ok=True)
    return LocalHub(folder)
