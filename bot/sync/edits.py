"""Writing a request file: compare-and-swap, field by field, and only as long as it still is what was decided upon."""

from __future__ import annotations

from collections.abc import Callable

from bot.desk import Desk
from hub.records import Change, File, Put
from leaderboard.requests import Request, parse_request


def edit_request(
    desk: Desk, path: str, write: Callable[[Request], str | None], message: str, description: str = ""
) -> None:
    """Write the request at `path` anew; `write` sees it as it is now, perhaps repeatedly, and declines with None."""

    def edit(read: Callable[[str], File | None]) -> list[Change]:
        file = read(path)
        now = parse_request(path, file.data) if file is not None else []
        text = write(now) if isinstance(now, Request) else None
        return [] if text is None else [Put(path, text.encode())]

    desk.hub.edit_files(desk.requests, edit, message, description, max_bytes=desk.board.max_request_bytes)
