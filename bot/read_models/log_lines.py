"""Read the last log of a request from the logs repo, and its decisive lines."""

from __future__ import annotations

from bot.core.context import BoardContext
from bot.core.log_repos import logs_repo
from hub.errors import NotFound, TooLarge
from leaderboard.evidence import decisive_lines
from leaderboard.request_paths import RequestPath, parse_path
from redis_state.board.entry import IndexEntry

MAX_LOG = 1_000_000


def log_of(context: BoardContext, entry: IndexEntry) -> str | None:
    """The log of the last attempt at `entry`; None where there is none, or it has over MAX_LOG bytes. One call."""
    request_path = parse_path(entry.path)
    if entry.attempt is None or not isinstance(request_path, RequestPath):
        return None
    path = f"{request_path.model}/{entry.attempt}/log.txt"
    try:
        file = context.hub.find_file(logs_repo(context, entry.standing.access), path, max_bytes=MAX_LOG)
    except (NotFound, TooLarge):
        return None
    return file.data.decode("utf-8", "replace") if file is not None else None


def lines_of(context: BoardContext, entry: IndexEntry) -> list[str]:
    """The decisive lines of the last log; none where there is no log. One call."""
    log = log_of(context, entry)
    return decisive_lines(log) if log is not None else []
