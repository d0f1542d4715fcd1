"""The decisive lines of a request's last log, read from the logs repo."""

from __future__ import annotations

from bot.desk import Desk
from bot.index import Entry
from hub.errors import NotFound, TooLarge
from leaderboard.decisive import decisive_lines
from leaderboard.requests import RequestPath, parse_path

MAX_LOG = 1_000_000


def lines_of(desk: Desk, entry: Entry) -> list[str]:
    """The decisive lines of the last attempt at `entry`; none where no log was kept. One call."""
    where = parse_path(entry.path)
    if entry.attempt is None or not isinstance(where, RequestPath):
        return []
    path = f"{where.model}/{entry.attempt}/log.txt"
    try:
        file = desk.hub.find_file(desk.logs, path, max_bytes=MAX_LOG)
    except (NotFound, TooLarge):
        return []
    return decisive_lines(file.data.decode("utf-8", "replace")) if file is not None else []
