"""The thread of a request, whose opening post (or, in a pull request, one comment) is its status comment.

One status comment per request, found again by its hidden marker, edited in place, and only when what it says changed.

Race closed: dying between opening a thread and noting its number. The marker finds it again.
Race closed: a request file that names a thread which is not its own. The number counts only if our marker is there.

Each of these writes comes back as a delivery, of which the webhook has but so many a day, and half of them are ours.
As that half goes, progress is not shown any more, then states on the way; an end is told as long as there is one left,
and later where there is none. A state that was skipped is not queued: the next sync renders whatever is true then.

A comment tells what was done to the file, so it is held back with the edits, and comes to rest unsaid.

Of a model that is private or gated nothing is said in threads.

Where the Hub lets us not speak (the thread is locked, discussions are switched off), the file still says everything.
"""

from __future__ import annotations

import hashlib
from dataclasses import replace

import structlog

from bot.core import comment_quota
from bot.core.context import BoardContext, request_key
from bot.core.own_threads import Place, find_own, known_until
from bot.request_files.closing import close_or_open
from bot.request_files.status_text import StatusView, status_comment, thread_title
from hub.comments import Marker, find_marked
from hub.errors import BadToken, Denied, NotFound, ThreadNotFound
from leaderboard.effects import Effect
from redis_state.board.entry import IndexEntry
from redis_state.crashpoints import pass_by, point

log = structlog.get_logger()

KIND = "status"
FINAL = ("refused", "failed")
ENDS = (*FINAL, "finished", "cancelled")
PLAIN = "Original"
"""The type of weights that goes without saying."""
LEAVES_PROGRESS, LEAVES_STATES = 0.5, 0.2
"""The shares of our half of the webhook's day below which progress, and states on the way, are not told any more."""

OPENED = point("thread opened, its number not noted")


class _NotSaidNow(Exception):
    """It is not said now: too few deliveries are left today, or the board holds it back."""


def update_status(
    context: BoardContext, entry: IndexEntry, view: StatusView, *, named: int | None = None
) -> IndexEntry:
    """Make the status comment say `view`, opening a thread where the board wants one; the entry with what was done.

    `named` is the thread that the request file names. One call where the entry was lost, none where nothing changed.
    """
    if entry.standing.access != "public":
        return entry  # not everybody may see the model: nothing about it is said where everybody reads
    digest = _digest(view)
    if entry.thread is None or entry.said != digest:
        entry = _write_or_skip(context, entry, view, digest, named)
    # Only what was said: a thread whose comment is held back, or comes later, is not closed upon words of yesterday.
    return close_or_open(context, entry, view.state) if entry.said == digest else entry


def _write_or_skip(
    context: BoardContext, entry: IndexEntry, view: StatusView, digest: str, named: int | None
) -> IndexEntry:
    try:
        return _write_status(context, entry, view, digest, named)
    except _NotSaidNow:
        return entry
    except BadToken:
        raise
    except Denied as error:
        log.warning("status comment not allowed", path=entry.path, thread=entry.thread, error=str(error))
        return entry if entry.thread is None else entry.model_copy(update={"said": digest})


def _write_status(
    context: BoardContext, entry: IndexEntry, view: StatusView, digest: str, named: int | None
) -> IndexEntry:
    marker = context.marker(KIND, entry.path)
    body = status_comment(view)
    if _edited(context, entry, marker, view, body):
        return entry.model_copy(update={"said": digest})
    place = _find(context, entry, marker, named)
    if place is None:
        return _make(context, entry, marker, view, digest)
    return _update_at(context, entry, marker, view, place)


def _update_at(context: BoardContext, entry: IndexEntry, marker: Marker, view: StatusView, place: Place) -> IndexEntry:
    """Make the comment at `place` say `view`, where it says something else."""
    number, comment = place
    known = entry.model_copy(update={"thread": number, "comment": comment.id})
    try:
        _edit(context, known, marker, view, status_comment(view), seen=comment.text)
    except _NotSaidNow:
        return known
    return known.model_copy(update={"said": _digest(view)})


def _edited(context: BoardContext, entry: IndexEntry, marker: Marker, view: StatusView, body: str) -> bool:
    """Whether the comment that we know by its id could be edited, without reading the thread first."""
    if entry.thread is None or entry.comment is None:
        return False
    try:
        _edit(context, entry, marker, view, body)
    except NotFound:
        return False  # the thread, or the comment, was deleted
    return True


def _edit(
    context: BoardContext, entry: IndexEntry, marker: Marker, view: StatusView, body: str, *, seen: str | None = None
) -> None:
    assert entry.thread is not None
    assert entry.comment is not None
    _check(context, view)
    done = context.effects.edit_comment(
        context.requests,
        entry.thread,
        entry.comment,
        body,
        marker,
        Effect.EDIT,
        seen=seen,
        version=_digest(view),
        wake=request_key(entry.path),
    )
    if done == "held":
        raise _NotSaidNow


def _find(context: BoardContext, entry: IndexEntry, marker: Marker, named: int | None) -> Place | None:
    """The status comment where it was last seen, or where the request file says it is."""
    for number in dict.fromkeys(n for n in (entry.thread, named) if n is not None):
        try:
            thread = context.hub.thread(context.requests, number)
        except ThreadNotFound:
            continue
        if (comment := find_marked(thread.comments, marker, context.me())) is not None:
            return number, comment
    return None


def _make(context: BoardContext, entry: IndexEntry, marker: Marker, view: StatusView, digest: str) -> IndexEntry:
    """Write the status comment where there is none yet, and where the board wants one; the entry with where it is."""
    origin = context.index.origin(entry.path)
    if context.board.threads == "never":
        return entry
    wake = request_key(entry.path)
    if origin.pull is not None and not context.effects.is_left_alone(context.requests, origin.pull):
        _check(context, view)
        body = status_comment(view)
        comment = context.effects.comment(
            context.requests, origin.pull, body, marker, Effect.EDIT, version=digest, wake=wake
        )
        if comment is None:
            raise _NotSaidNow
        return _update_at(context, entry, marker, view, (origin.pull, comment))
    if context.board.threads == "failures" and view.state not in FINAL:
        return entry
    _check(context, view)
    title = thread_title(
        view.model or entry.path, view.precision, "" if view.weight_type == PLAIN else view.weight_type
    )
    if (earlier := find_own(context, title, marker, entry.path)) is not None:
        return _update_at(context, entry, marker, view, earlier)
    body, until = status_comment(view), known_until(context)
    number = context.effects.open_thread(
        context.requests, title, body, marker, Effect.EDIT, since=until, looked=True, version=digest, wake=wake
    )
    if number is None:
        raise _NotSaidNow
    pass_by(OPENED)
    return entry.model_copy(update={"thread": number, "comment": None, "said": digest})


def _check(context: BoardContext, view: StatusView) -> None:
    """Raises _Spared where no delivery is left for this, and RateLimited where it must be said, only later."""
    if view.state in ENDS:
        comment_quota.check(context, context.requests, "the thread")
    elif comment_quota.left(context, context.requests) <= (LEAVES_PROGRESS if view.done else LEAVES_STATES):
        raise _NotSaidNow


def _digest(view: StatusView) -> str:
    """What the comment says, but for the time at which it was written."""
    return hashlib.sha256(status_comment(replace(view, updated="")).encode()).hexdigest()[:16]
