"""Worlds of Hubs with a board, and Hubs that start with such a world.

Each Hub is a copy of the first Hub with the same world, because building a world takes longer than all the rest.
"""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

import redis

from bot.probe import Probe
from localhub.testing import HubWorld, LocalHub
from localhub.world import open_hub
from steward.testing.board import ADA, BOB, BOT, CONFIG, FORM, WORKER, BoardDriver

Driver = TypeVar("Driver", bound=BoardDriver)
CODE = json.dumps({"auto_map": {"AutoConfig": "x.Y"}})
"""A config that needs code of its repo, which boards refuse."""


def empty_board_world(org: str = "board", bot: str = "steward-bot") -> HubWorld:
    """Return a world with a board's accounts, organisations and datasets, and Ada, who submits models."""
    return (
        HubWorld()
        .users({bot: BOT, "form": FORM, "gpu": WORKER, "ada": ADA})
        .org(org, {bot: "write", "form": "write"})
        .org(f"{org}-details", {"gpu": "write", bot: "read"})
        .datasets(*(f"{org}/{name}" for name in ("requests", "results", "logs")))
    )


def board_world() -> HubWorld:
    """Return a world with the board of `board.BOARD`, Ada and Bob, and four models of Ada's."""
    return (
        empty_board_world()
        .user("bob", BOB)
        .repo("space", "board/space", sdk="static")
        .org("steward-suites")
        .datasets("steward-suites/starter")
        .repo("model", "ada/good", model_files(CONFIG))
        .repo("model", "ada/remote", model_files(CODE))
        .repo("model", "ada/strange", model_files('{"model_type": "zork"}'))
        .repo("model", "ada/pickled", {"README.md": "# A model\n", "config.json": CONFIG, "pytorch_model.bin": "x"})
    )


def fresh_world() -> HubWorld:
    """Return a world in which a board can be created: accounts and organisations, and a model that is refused."""
    return (
        HubWorld()
        .users({name: f"hf_{name}" for name in ("bot", "gpu", "maya", "form")})
        .org("fresh", {"bot": "admin", "form": "write", "maya": "admin"})
        .org("fresh-details", {"gpu": "write", "bot": "read"})
        .repo("model", "maya/remote", {"config.json": CODE})
    )


def model_files(config: str = CONFIG, title: str = "A model") -> dict[str, str]:
    """Return the files of a model: a card, a config and a placeholder as its weights."""
    return {"README.md": f"# {title}\n", "config.json": config, "model.safetensors": "x"}


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


@contextmanager
def open_board(
    world: HubWorld, folder: Path, connection: redis.Redis, probe: Probe, driver: type[Driver]
) -> Iterator[Driver]:
    """Yield a driver of a board on a new Hub in `folder` with `world`, and with the Redis of `connection`."""
    with hub_with(world, folder) as hub:
        made = driver(hub, connection, probe)
        try:
            yield made
        finally:
            made.context.hub.close()
