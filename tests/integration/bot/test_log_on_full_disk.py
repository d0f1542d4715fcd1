"""A sync process whose log is on a full disk: it goes on, and so does the work."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from bot.processes.sync_process import LOOPS
from redis_state.keys import Keys
from redis_state.redis import connect
from steward.children import Children
from steward.testing.board import BOARD
from steward.testing.waiting import wait_until
from steward.valkey import Valkey

STATE = Keys("demo").hub_state
THREADS = LOOPS + 1
"""The loops of a sync process and its timer: after more refusals, one of them went on after its first."""


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Valkey]:
    """A queue server of this test."""
    with Valkey(tmp_path / "valkey") as own:
        yield own


def test_a_process_that_cannot_write_its_log_goes_on(tmp_path: Path, server: Valkey) -> None:
    """While neither the log nor Redis can be written, the process tries again; later it syncs, and ends cleanly."""
    (tmp_path / "board.yaml").write_text(BOARD)
    (tmp_path / "logs").mkdir()
    (tmp_path / "logs" / "sync.log").symlink_to("/dev/full")
    environment = {"REDIS_URL": server.url, "STEWARD_BOARD": str(tmp_path / "board.yaml"), "PATH": os.environ["PATH"]}
    environment |= {"HF_ENDPOINT": "http://127.0.0.1:1", "STEWARD_BOT_TOKEN": "hf_bot", "STEWARD_LOG_LEVEL": "debug"}
    connection = connect(server.url)

    def refused() -> int:
        return int(connection.info("errorstats").get("errorstat_OOM", {}).get("count", 0))

    with Children(tmp_path / "logs") as children:
        child = children.start("sync", [sys.executable, "-m", "steward.cli", "sync"], environment=environment)
        wait_until(lambda: connection.exists(STATE))
        connection.config_set("maxmemory", 1)
        wait_until(lambda: refused() > THREADS)
        connection.config_set("maxmemory", 0)
        connection.delete(STATE)
        wait_until(lambda: connection.exists(STATE))
        child.process.send_signal(signal.SIGTERM)
        assert child.process.wait(20) == 0
