"""Fixtures: the bot's web server over HTTP and a board, on a real queue server."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest
import redis

from bot.core.settings import BotSettings
from bot.probe import Probe
from steward.valkey import Valkey
from tests.support.board.board_driver import BoardDriver
from tests.support.board.board_file import BOARD, OLD_SECRET, SECRET
from tests.support.board.running_board import client_of
from tests.support.board.worlds import board_world, open_board

ROOM = 2 * 1024**3
"""Bytes that must be free in `/dev/shm` before tests put their files into it."""


@pytest.fixture
def settings(valkey_url: str, tmp_path: Path) -> BotSettings:
    """The settings of a web server."""
    (tmp_path / "board.yaml").write_text(BOARD)
    return BotSettings(
        redis_url=valkey_url,
        board=tmp_path / "board.yaml",
        webhook_secret=SECRET,
        old_webhook_secret=OLD_SECRET,
        max_delivery_bytes=100_000,
        port=0,
    )


@pytest.fixture
def web(settings: BotSettings) -> Iterator[httpx2.Client]:
    """A client of a running web server."""
    with client_of(settings) as client:
        yield client


@pytest.fixture(scope="module")
def lasting_valkey(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Valkey]:
    """A queue server for all tests of a file: no test changes what another one reads."""
    with Valkey(tmp_path_factory.mktemp("lasting-valkey")) as running:
        yield running


@pytest.fixture(scope="module")
def lasting_redis(lasting_valkey: Valkey) -> Iterator[redis.Redis]:
    """A client of that queue server."""
    with redis.Redis.from_url(lasting_valkey.url) as client:
        yield client


@pytest.fixture
def stand(tmp_path: Path, connection: redis.Redis, probe: Probe) -> Iterator[BoardDriver]:
    """A board with nothing in it yet."""
    with open_board(board_world(), tmp_path, connection, probe) as driver:
        yield driver


@pytest.fixture
def tmp_path(tmp_path: Path) -> Iterator[Path]:
    """A folder in memory if enough is free, because these tests create a thousand Hubs of many small files each."""
    memory = Path("/dev/shm")
    if not memory.is_dir() or shutil.disk_usage(memory).free < ROOM:
        yield tmp_path
        return
    with tempfile.TemporaryDirectory(prefix="steward-test-", dir=memory) as folder:
        yield Path(folder)
