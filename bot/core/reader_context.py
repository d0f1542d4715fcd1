"""The context of processes that only read: the state in Redis, without an account on the Hub."""

from __future__ import annotations

from bot.core.context import BoardContext
from bot.core.settings import BotSettings
from hub.client import Hub
from leaderboard.boards import Board
from leaderboard.suites import find_suite
from redis_state import clock
from redis_state.redis import connect

REDIS_TIMEOUT_SECONDS = 5
"""Time limit of one call to Redis from a reading process."""


def read_only_context(settings: BotSettings, board: Board, redis_url: str = "") -> BoardContext:
    """A context for the web server: it has no token and calls no Hub. Raises RedisMissing and BadSuite.

    `redis_url` replaces that of the settings, for another account of the queue server.
    """
    return BoardContext(
        board=board,
        suite=find_suite(board.suite),
        hub=Hub(settings.hf_endpoint, None),
        redis=connect(redis_url or settings.redis_url, socket_timeout=REDIS_TIMEOUT_SECONDS),
        now=clock.now,
        pages_url=settings.pages_url,
    )
