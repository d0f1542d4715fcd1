"""Files that should be requests and cannot be read as one: told why, kept apart, never in the way of others."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any

from bot.desk import Desk
from bot.index import Entry
from bot.sync.status_thread import tell
from bot.sync.views import view_of_unreadable
from hub.records import Change, File, Put
from leaderboard.admission import refusal
from leaderboard.requests import Problem, Status
from leaderboard.transitions import refused_unread


def refuse_unreadable(desk: Desk, entry: Entry, file: File | None, problems: Sequence[Problem]) -> None:
    """Say every problem in the thread, and in the file where it is an object that waits for an evaluation.

    An object with another status is an old file in a strange dialect: it is left in peace.
    """
    fields = _object(file)
    if fields is not None and not _waits(fields):
        desk.index.put(entry.model_copy(update={"state": "foreign"}))
        return
    view = view_of_unreadable(desk, entry, problems, writable=fields is not None)
    entry = tell(desk, entry, view)

    def edit(read: Callable[[str], File | None]) -> list[Change]:
        now = read(entry.path)
        if now is None or file is None or now.data != file.data:
            return []
        text = refused_unread(now.data.decode("utf-8-sig"), failure=refusal(tuple(problems)), thread=entry.thread)
        return [Put(entry.path, text.encode())]

    if fields is not None:
        desk.hub.edit_files(desk.requests, edit, f"Refuse {entry.path}"[:200])
    desk.index.put(entry.model_copy(update={"state": "settled"}))


def _object(file: File | None) -> dict[str, Any] | None:
    try:
        found = json.loads(file.data.decode("utf-8-sig")) if file is not None else None
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def _waits(fields: dict[str, Any]) -> bool:
    status = fields.get("status")
    known = status.strip().upper() if isinstance(status, str) else "PENDING"
    return known in Status.__members__ and Status(known).waits
