"""The history of request files: which account changed which file in which commit, read from the mirror.

The shadow report and the doctor use it; no sync does. The number of calls does not depend on the number of files.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from bot.core.context import BoardContext
from hub.records import LogEntry
from leaderboard.jsontext import object_in
from leaderboard.request_paths import is_request_path

if TYPE_CHECKING:
    from bot.core.mirrors.mirror import MirrorView

MAX_COMMITS = 500


@dataclass(frozen=True)
class RequestFileChange:
    """The change of one request file by one commit; a status is None if there is no file or no readable status."""

    commit: str
    author: str
    date: datetime | None
    title: str
    path: str
    before: str | None
    after: str | None

    @property
    def changes_status(self) -> bool:
        """Whether the commit replaced one status by another."""
        return self.before is not None and self.after is not None and self.before != self.after


def request_file_changes(context: BoardContext, *, since: float) -> Iterator[RequestFileChange]:
    """The changes of request files since that time (seconds since the epoch), newest first; MAX_COMMITS at most.

    The iterator holds the mirror's lock, so the caller must not fetch meanwhile. Raises HubError and MirrorDamaged.
    """
    commits = context.hub.commits(context.requests, limit=MAX_COMMITS)
    recent = [entry for entry in commits if entry.date is None or entry.date.timestamp() >= since]
    if not recent:
        return
    context.mirror.fetch(context.requests, depth=len(recent) + 1)
    with context.mirror.read(context.requests) as view:
        for entry in recent:
            yield from _changes_in(view, entry, context.board.max_request_bytes)


def _changes_in(view: MirrorView, entry: LogEntry, max_bytes: int) -> Iterator[RequestFileChange]:
    parent = view.parent(entry.oid) if view.has(entry.oid) else None
    if parent is None or not view.has(parent):
        return  # the first commit of all, or one that came after the fetch
    author = entry.authors[0] if entry.authors else ""
    for blob in view.changed(parent, entry.oid):
        if is_request_path(blob.path):
            before, after = _status(view, view.find(parent, blob.path), max_bytes), _status(view, blob.oid, max_bytes)
            yield RequestFileChange(entry.oid, author, entry.date, entry.title, blob.path, before, after)


def _status(view: MirrorView, oid: str | None, max_bytes: int) -> str | None:
    return status_in(view.blob(oid, max_bytes=max_bytes)) if oid is not None else None


def status_in(data: bytes | None) -> str | None:
    """The field `status` of a request file in any format; None if it cannot be read."""
    status = (object_in(data) or {}).get("status") if data is not None else None
    return status.strip().upper()[:64] if isinstance(status, str) else None
