"""Who changed which request file, commit by commit: read from the mirror, whatever the number of files.

For people who compare what was done with what the bot would have done, and for the doctor; no sync needs it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from bot.core.context import BoardContext
from hub.records import LogEntry
from leaderboard.jsontext import object_in
from leaderboard.requests import is_request_path

if TYPE_CHECKING:
    from bot.core.mirrors.mirror import MirrorView

LOOK_BACK = 500
"""Commits that are looked at, at most."""


@dataclass(frozen=True)
class RequestFileChange:
    """What one commit made of one request file; a status is None where there is no file, or none can be read."""

    commit: str
    author: str
    date: datetime | None
    title: str
    path: str
    before: str | None
    after: str | None

    @property
    def changes_status(self) -> bool:
        """Whether a file that had a status has another one now."""
        return self.before is not None and self.after is not None and self.before != self.after


def request_file_changes(context: BoardContext, *, since: float) -> Iterator[RequestFileChange]:
    """What happened to the request files since then (seconds since the epoch), newest first, LOOK_BACK commits at most.

    The mirror is held while they are told, so fetch nothing meanwhile. Raises HubError and MirrorDamaged.
    """
    commits = context.hub.commits(context.requests, limit=LOOK_BACK)
    recent = [entry for entry in commits if entry.date is None or entry.date.timestamp() >= since]
    if not recent:
        return
    context.mirror.fetch(context.requests, depth=len(recent) + 1)
    with context.mirror.read(context.requests) as view:
        for entry in recent:
            yield from _of(view, entry, context.board.max_request_bytes)


def _of(view: MirrorView, entry: LogEntry, most: int) -> Iterator[RequestFileChange]:
    parent = view.parent(entry.oid) if view.has(entry.oid) else None
    if parent is None or not view.has(parent):
        return  # the first commit of all, or one that came after we fetched
    author = entry.authors[0] if entry.authors else ""
    for blob in view.changed(parent, entry.oid):
        if is_request_path(blob.path):
            before, after = _status(view, view.find(parent, blob.path), most), _status(view, blob.oid, most)
            yield RequestFileChange(entry.oid, author, entry.date, entry.title, blob.path, before, after)


def _status(view: MirrorView, oid: str | None, most: int) -> str | None:
    return status_in(view.blob(oid, max_bytes=most)) if oid is not None else None


def status_in(data: bytes | None) -> str | None:
    """The word in the field `status` of a request file in whatever dialect; None where there is none to be read."""
    status = (object_in(data) or {}).get("status") if data is not None else None
    return status.strip().upper()[:64] if isinstance(status, str) else None
