"""The thread of a request, whose opening post (or, in a pull request, one comment) is its status comment.

One status comment per request, found again by its hidden marker, edited in place, and only when what it says changed.

Race closed: dying between opening a thread and noting its number. The marker finds it again.
Race closed: a request file that names a thread which is not its own. The number counts only if our marker is there.

Each of these writes comes back as a delivery, of which the webhook has but so many a day, and half of them are ours.
As that half goes, progress is not shown any more, then states on the way; an end is told as long as there is one left,
and later where there is none. A state that was skipped is not queued: the next sync renders whatever is true then.

Where the Hub lets us not speak (the thread is locked, discussions are switched off), the file still says everything.
"""

from __future__ import annotations

import hashlib
from dataclasses import replace

import structlog

from bot.desk import Desk
from bot.index import Entry
from bot.texts.status import StatusView, status_comment, thread_title
from hub.budget import HOUR
from hub.comments import Marker, find_marked
from hub.errors import BadToken, Denied, NotFound, RateLimited, ThreadNotFound
from hub.records import Comment
from wire.echoes import OWN_SHARE, QUOTA

log = structlog.get_logger()

KIND = "status"
FINAL = ("refused", "failed")
LEAVES_PROGRESS, LEAVES_STATES = 0.5, 0.2
"""The shares of our half of the webhook's day below which progress, and states on the way, are not told any more."""


def tell(desk: Desk, entry: Entry, view: StatusView, *, named: int | None = None) -> Entry:
    """Make the status comment say `view`, opening a thread where the board wants one; the entry with what was done.

    `named` is the thread that the request file names. One call where the entry was lost, none where nothing changed.
    """
    digest = _digest(view)
    if entry.thread is not None and entry.said == digest:
        return entry
    if not _affordable(desk, view):
        return entry
    try:
        return _told(desk, entry, view, digest, named)
    except BadToken:
        raise
    except Denied as error:
        log.warning("status comment not allowed", path=entry.path, thread=entry.thread, error=str(error))
        return entry if entry.thread is None else entry.model_copy(update={"said": digest})


def _told(desk: Desk, entry: Entry, view: StatusView, digest: str, named: int | None) -> Entry:
    marker = desk.marker(KIND, entry.path)
    body = status_comment(view)
    if _edited(desk, entry, marker, body):
        return entry.model_copy(update={"said": digest})
    place = _find(desk, entry, marker, named) or _make(desk, entry, marker, view, body)
    if place is None:
        return entry
    number, comment = place
    if desk.hub.edit_comment(desk.requests, number, comment.id, body, marker=marker, seen=comment.text):
        _count(desk)
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
    _count(desk)
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
        _count(desk)
        return origin.pull, desk.hub.ensure_comment(desk.requests, origin.pull, body, marker)
    if desk.board.threads == "failures" and view.state not in FINAL:
        return None
    _count(desk)
    number = desk.hub.open_thread(desk.requests, thread_title(view.model or entry.path), body, marker)
    comment = find_marked(desk.hub.thread(desk.requests, number).comments, marker, desk.me())
    return None if comment is None else (number, comment)


def _affordable(desk: Desk, view: StatusView) -> bool:
    """Whether there is a delivery left for this. Raises RateLimited for what must be said, only later."""
    now = desk.now()
    left = desk.echoes.own_left("discussion", desk.requests.id, now=now) / (QUOTA * OWN_SHARE)
    if view.state in (*FINAL, "finished"):
        if left <= 0:
            words = "Our half of the webhook's deliveries for today is spent; the thread is told later."
            raise RateLimited(words, seconds=HOUR - now % HOUR + 1.0, what="deliveries", status=None)
        return True
    return left > (LEAVES_PROGRESS if view.done else LEAVES_STATES)


def _count(desk: Desk) -> None:
    desk.echoes.caused("discussion", desk.requests.id, now=desk.now())


def _digest(view: StatusView) -> str:
    """What the comment says, but for the time at which it was written."""
    return hashlib.sha256(status_comment(replace(view, updated="")).encode()).hexdigest()[:16]
