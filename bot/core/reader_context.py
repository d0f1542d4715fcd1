"""The desk of those who only look: what lies in Redis, and no account on the Hub."""

from __future__ import annotations

from bot.core.context import BoardContext
from bot.core.settings import BotSettings
from hub.client import Hub
from leaderboard.boards import Board
from leaderboard.suites import find_suite
from redis_state import clock
from redis_state.redis import connect

SECONDS = 5
"""How long Redis may take for one answer to somebody who looks."""


def read_only_context(settings: BotSettings, board: Board) -> BoardContext:
    """A desk for the web server: it has no token, and makes no call. Raises RedisMissing and BadSuite."""
    return BoardContext(
        board=board,
        suite=find_suite(board.suite),
        hub=Hub(settings.hf_endpoint, None),
        redis=connect(settings.redis_url, socket_timeout=SECONDS),
        now=clock.now,
    )
