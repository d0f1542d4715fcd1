"""The thread of a request, whose opening post (or, in a pull request, one comment) is its status comment.

One status comment per request, found again by its hidden marker, edited in place, and only when what it says changed.

Race closed: dying between opening a thread and noting its number. The marker finds it again.
Race closed: a request file that names a thread which is not its own. The number counts only if our marker is there.
"""

from __future__ import annotations

import hashlib
from dataclasses import replace

from bot.desk import Desk
from bot.index import Entry
from bot.texts.status import StatusView, status_comment, thread_title
from hub.comments import Marker, find_marked
from hub.errors import NotFound, ThreadNotFound
from hub.records import Comment

KIND = "status"
FINAL = ("refused", "failed")


def tell(desk: Desk, entry: Entry, view: StatusView, *, named: int | None = None) -> Entry:
    """Make the status comment say `view`, opening a thread where the board wants one; the entry with what was done.

    `named` is the thread that the request file names. One call where the entry was lost, none where nothing changed.
    """
    digest = _digest(view)
    if entry.thread is not None and entry.said == digest:
        return entry
    marker = desk.marker(KIND, entry.path)
    body = status_comment(view)
    if _edited(desk, entry, marker, body):
        return entry.model_copy(update={"said": digest})
    place = _find(desk, entry, marker, named) or _make(desk, entry, marker, view, body)
    if place is None:
        return entry
    number, comment = place
    desk.hub.edit_comment(desk.requests, number, comment.id, body, marker=marker, seen=comment.text)
    return entry.model_copy(update={"thread": number, "comment": comment.id, "said": digest})


Place = tuple[int, Comment]


def _edited(desk: Desk, entry: Entry, marker: Marker, body: str) -> bool:
    """Whether the comment that we know by its id could be edited, without reading the thread first."""
    if entry.thread is None or entry.comment is None:
        return False
    try:
        desk.hub.edit_comment(desk.requests, entry.thread, entry.comment, body, marker=marker)
    except NotFound:
        return False  # the thread, or the comment, was deleted
    return True


def _find(desk: Desk, entry: Entry, marker: Marker, named: int | None) -> Place | None:
    """The status comment where it was last seen, or where the request file says it is."""
    for number in dict.fromkeys(n for n in (entry.thread, named) if n is not None):
        try:
            thread = desk.hub.thread(desk.requests, number)
        except ThreadNotFound:
            continue
        if (comment := find_marked(thread.comments, marker, desk.me())) is not None:
            return number, comment
    return None


def _make(desk: Desk, entry: Entry, marker: Marker, view: StatusView, body: str) -> Place | None:
    origin = desk.index.origin(entry.path)
    if desk.board.threads == "never":
        return None
    if origin.pull is not None:
        return origin.pull, desk.hub.ensure_comment(desk.requests, origin.pull, body, marker)
    if desk.board.threads == "failures" and view.state not in FINAL:
        return None
    number = desk.hub.open_thread(desk.requests, thread_title(view.model or entry.path), body, marker)
    comment = find_marked(desk.hub.thread(desk.requests, number).comments, marker, desk.me())
    return None if comment is None else (number, comment)


def _digest(view: StatusView) -> str:
    """What the comment says, but for the time at which it was written."""
    return hashlib.sha256(status_comment(replace(view, updated="")).encode()).hexdigest()[:16]
