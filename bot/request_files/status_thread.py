"""The thread of a request. Its opening post (in a pull request, one comment) is the request's status comment.

A request has one status comment. The bot finds it by its hidden marker and edits it in place when its text changes.

Race closed: the bot dies between opening a thread and storing its number. The marker finds the thread again.
Race closed: a request file names a thread of another request. The number counts only if that thread has the marker.

Each write causes a webhook delivery; the webhook has a daily quota of deliveries, and half of it is for the bot's own
writes. When little of that half is left, the bot stops showing progress, then intermediate states. It still reports an
end while one delivery is left, and later if none is. A skipped state is not queued: the next sync renders the state of
that moment.

A comment reports edits of the file. So it is held back when edits are held back, and is then not written at all.

Threads say nothing about private and gated models.

The bot closes a thread that it opened when nothing is left to do, and reopens it when work is due again, once for each
change of the request: a thread that people close or reopen stays as they left it. A thread that waits for a maintainer
is not closed.

Race accepted: after Redis was lost, the bot does not know that it closed a thread. The thread then stays closed while
its request is evaluated again; its status comment is updated nevertheless.

If the Hub does not let the bot write (the thread is locked, discussions are disabled), the file still has everything.
"""

from __future__ import annotations

import hashlib
from dataclasses import replace

import structlog

from bot.core import comment_quota
from bot.core.commands.targets import STATUS
from bot.core.context import BoardContext, request_key
from bot.core.own_threads import Place, find_own, known_until
from bot.core.waiting_threads import is_waiting
from bot.request_files.status_text import State, StatusView, status_comment, thread_title
from hub.comments import Marker, find_marked, is_by
from hub.errors import Denied, Garbled, NotFound, ThreadNotFound
from hub.records import ThreadStatus
from hub.retries import unless_gone
from leaderboard.effects import Effect, EffectMode
from redis_state.board.entry import IndexEntry
from redis_state.crashpoints import pass_by, point

log = structlog.get_logger()

FINAL = ("refused", "failed")
ENDS = (*FINAL, "finished", "cancelled")
DEFAULT_WEIGHTS = "Original"
"""The type of weights that titles omit."""
MIN_SHARE_FOR_PROGRESS, MIN_SHARE_FOR_STATES = 0.5, 0.2
"""Shares of the bot's own daily deliveries below which progress, and intermediate states, are not shown."""
STATES_THAT_OPEN_THREADS = (*FINAL, "unanswered")
"""States that open a thread also on boards that want threads about failures only."""
OVER: tuple[State, ...] = ("finished", "cancelled")
"""States in which the thread is closed: nothing is left to do. A failed or refused request waits for a person."""
MIN_SHARE_FOR_CLOSING = 0.2
"""Share of the bot's own daily deliveries below which no thread is closed or opened: comments need them more."""

OPENED = point("thread opened, its number not noted")


class _NotWrittenNow(Exception):
    """The comment is not written now: too few deliveries are left today, or the board holds it back."""


def update_status(
    context: BoardContext, entry: IndexEntry, view: StatusView, *, named: int | None = None
) -> IndexEntry:
    """Make the status comment show `view`, opening a thread if the board wants one; return the updated entry.

    `named` is the thread that the request file names. One call if the entry was lost, none if nothing changed.
    """
    if entry.standing.access != "public":
        return entry  # threads are public, the model is not
    digest = _digest(view)
    if entry.thread is None or entry.said != digest:
        entry = _write_or_skip(context, entry, view, digest, named)
    # A thread whose comment is held back or comes later shows an older state, so it is not closed yet.
    return _close_or_open(context, entry, view.state) if entry.said == digest else entry


def _write_or_skip(
    context: BoardContext, entry: IndexEntry, view: StatusView, digest: str, named: int | None
) -> IndexEntry:
    try:
        return _write_status(context, entry, view, digest, named)
    except _NotWrittenNow:
        return entry
    except Denied as error:
        log.warning("status comment not allowed", path=entry.path, thread=entry.thread, error=str(error))
        return entry if entry.thread is None else entry.changed(said=digest)


def _write_status(
    context: BoardContext, entry: IndexEntry, view: StatusView, digest: str, named: int | None
) -> IndexEntry:
    marker = context.marker(STATUS, entry.path)
    body = status_comment(view)
    if _edited(context, entry, marker, view, body):
        return entry.changed(said=digest)
    place = _find(context, entry, marker, named)
    if place is None:
        return _create(context, entry, marker, view, digest)
    return _update_at(context, entry, marker, view, place)


def _update_at(context: BoardContext, entry: IndexEntry, marker: Marker, view: StatusView, place: Place) -> IndexEntry:
    """Edit the comment at `place` to show `view`, unless it does already."""
    number, comment = place
    located = entry.changed(thread=number, comment=comment.id)
    try:
        _edit(context, located, marker, view, status_comment(view), seen=comment.text)
    except _NotWrittenNow:
        return located
    return located.changed(said=_digest(view))


def _edited(context: BoardContext, entry: IndexEntry, marker: Marker, view: StatusView, body: str) -> bool:
    """Whether the comment could be edited by its stored id, without reading the thread first."""
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
        raise _NotWrittenNow


def _find(context: BoardContext, entry: IndexEntry, marker: Marker, named: int | None) -> Place | None:
    """The status comment in the thread that the entry or the request file names."""
    for number in dict.fromkeys(number for number in (entry.thread, named) if number is not None):
        try:
            thread = context.hub.thread(context.requests, number)
        except ThreadNotFound:
            continue
        if (comment := find_marked(thread.comments, marker, context.me())) is not None:
            return number, comment
    return None


def _create(context: BoardContext, entry: IndexEntry, marker: Marker, view: StatusView, digest: str) -> IndexEntry:
    """Write the first status comment of the request, if the board wants one; return the entry with its place."""
    origin = context.index.origin(entry.path)
    if context.board.threads == "never" or view.state == "cancelled":
        return entry
    wake = request_key(entry.path)
    if origin.pull is not None and not context.effects.is_left_alone(context.requests, origin.pull):
        _check(context, view)
        body = status_comment(view)
        comment = context.effects.comment(
            context.requests, origin.pull, body, marker, Effect.EDIT, version=digest, wake=wake
        )
        if comment is None:
            raise _NotWrittenNow
        return _update_at(context, entry, marker, view, (origin.pull, comment))
    if context.board.threads == "failures" and view.state not in STATES_THAT_OPEN_THREADS:
        return entry
    _check(context, view)
    title = thread_title(
        view.model or entry.path, view.precision, "" if view.weight_type == DEFAULT_WEIGHTS else view.weight_type
    )
    if (earlier := find_own(context, title, marker, entry.path)) is not None:
        return _update_at(context, entry, marker, view, earlier)
    body, until = status_comment(view), known_until(context)
    number = context.effects.open_thread(
        context.requests, title, body, marker, Effect.EDIT, since=until, looked=True, version=digest, wake=wake
    )
    if number is None:
        raise _NotWrittenNow
    pass_by(OPENED)
    return entry.changed(thread=number, comment=None, said=digest)


def _check(context: BoardContext, view: StatusView) -> None:
    """If no delivery is left for `view`, raise _NotWrittenNow, or RateLimited if it shows an end: that is retried."""
    min_share = MIN_SHARE_FOR_PROGRESS if view.done else MIN_SHARE_FOR_STATES
    if view.state in ENDS:
        comment_quota.check(context, context.requests, "the thread")
    elif comment_quota.left(context, context.requests) <= min_share:
        raise _NotWrittenNow


def _digest(view: StatusView) -> str:
    """A digest of the comment's text without the time at which it was written."""
    return hashlib.sha256(status_comment(replace(view, updated="")).encode()).hexdigest()[:16]


def _close_or_open(context: BoardContext, entry: IndexEntry, state: State) -> IndexEntry:
    """Close or open the thread of `entry` as `state` requires; return the entry with the result.

    Three calls if the thread changes, none otherwise.
    """
    wanted = state in OVER
    if (
        entry.thread is None
        or entry.closed == wanted
        or comment_quota.left(context, context.requests) <= MIN_SHARE_FOR_CLOSING
        or (wanted and is_waiting(context, context.requests, entry.thread))
    ):
        return entry
    try:
        done = _set_status(context, entry, entry.thread, "closed" if wanted else "open")
    except Denied as error:
        log.warning("thread stays as it is", path=entry.path, thread=entry.thread, error=str(error))
        done = True
    except ThreadNotFound as error:
        raise Garbled(f"The Hub shows discussion #{entry.thread}, and answers that there is none.") from error
    return entry.changed(closed=wanted) if done else entry


def _set_status(context: BoardContext, entry: IndexEntry, number: int, status: ThreadStatus) -> bool:
    if context.effects.mode(Effect.CLOSE) is EffectMode.ON:  # otherwise the write is only listed, which needs no call
        thread = unless_gone(lambda: context.hub.thread(context.requests, number), ThreadNotFound)
        if thread is None:
            return True  # it was deleted
        if thread.is_pull_request or not is_by(context.me(), thread.author_id, thread.author_name):
            return True  # another account opened it, and decides
        if thread.status == status:
            return True
    marker = context.marker("close", f"{entry.attempt or entry.file_oid} {entry.path}")
    return context.effects.set_status(context.requests, number, status, marker, wake=request_key(entry.path))
