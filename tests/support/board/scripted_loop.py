"""A sync loop whose syncs do what a test says."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import redis

from bot.core.context import BoardContext
from bot.processes.sync_loop import SyncLoop
from hub.client import Hub
from hub.retries import Retries
from leaderboard.boards import parse_board
from leaderboard.suites import find_suite
from steward.testing.board import BOARD

KEY = "request:ada/m_eval_request_False_float32_Original.json"


class ScriptedLoop(SyncLoop):
    """A loop whose syncs do what a test says."""

    handler: Callable[[], float | None]
    time = 1_000_000.0

    def _handler(self, key: str) -> Callable[[], float | None]:
        return self.handler


@contextmanager
def scripted_loop(connection: redis.Redis) -> Iterator[ScriptedLoop]:
    """A loop whose state is on the server of `connection`."""
    with Hub("http://127.0.0.1:1", "hf_x", retries=Retries(attempts=1)) as hub:
        scripted = ScriptedLoop(
            BoardContext(parse_board(BOARD), find_suite("starter"), hub, connection, now=lambda: scripted.time)
        )
        yield scripted


def failing(error: Exception) -> Callable[[], float | None]:
    """A sync that raises `error`."""

    def sync() -> float | None:
        raise error

    return sync


def tries(loop: ScriptedLoop, times: int) -> int:
    """Let `times` waits pass after which a try may be due, and return how many tries happened."""
    count = 0
    for _ in range(times):
        loop.time += 700
        count += loop.step()
    return count
