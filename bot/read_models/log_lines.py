"""A request's last log, as it lies in the logs repo, and the lines in it that decide."""

from __future__ import annotations

from bot.core.context import BoardContext
from hub.errors import NotFound, TooLarge
from leaderboard.evidence import decisive_lines
from leaderboard.requests import RequestPath, parse_path
from redis_state.board.entry import IndexEntry

MAX_LOG = 1_000_000


def log_of(context: BoardContext, entry: IndexEntry) -> str | None:
    """The log of the last attempt at `entry`; None where none was kept, or it is over MAX_LOG bytes. One call."""
    where = parse_path(entry.path)
    if entry.attempt is None or not isinstance(where, RequestPath):
        return None
    path = f"{where.model}/{entry.attempt}/log.txt"
    try:
        file = context.hub.find_file(context.logs, path, max_bytes=MAX_LOG)
    except (NotFound, TooLarge):
        return None
    return file.data.decode("utf-8", "replace") if file is not None else None


def lines_of(context: BoardContext, entry: IndexEntry) -> list[str]:
    """Its decisive lines; none where no log was kept. One call."""
    log = log_of(context, entry)
    return decisive_lines(log) if log is not None else []
