"""Close the thread that the bot opened for a request when nothing is left to do, and reopen it when there is again.

A finished or withdrawn request needs nothing more. A failed or refused one waits for a person. A thread that people
close or reopen stays as they left it: the bot touches a thread once for each change of its request, and reopens only a
thread that it closed itself.

Race accepted: after Redis was lost, the bot does not know that it closed a thread. The thread then stays closed while
its request is evaluated again; its status comment is updated nevertheless.
"""

from __future__ import annotations

import structlog

from bot.core import comment_quota
from bot.core.context import BoardContext, request_key
from bot.request_files.status_text import State
from hub.comments import is_by
from hub.errors import BadToken, Denied, ThreadNotFound
from hub.records import ThreadStatus
from leaderboard.effects import Effect, EffectMode
from redis_state.board.entry import IndexEntry

log = structlog.get_logger()

OVER: tuple[State, ...] = ("finished", "cancelled")
MIN_QUOTA_SHARE = 0.2
"""Share of the bot's own daily deliveries below which threads stay as they are: comments need the deliveries more."""


def close_or_open(context: BoardContext, entry: IndexEntry, state: State) -> IndexEntry:
    """Close or open the thread of `entry` as `state` requires; return the entry with the result.

    Three calls if the thread changes, none otherwise.
    """
    wanted = state in OVER
    if (
        entry.thread is None
        or entry.closed == wanted
        or comment_quota.left(context, context.requests) <= MIN_QUOTA_SHARE
    ):
        return entry
    try:
        done = _set(context, entry, entry.thread, "closed" if wanted else "open")
    except BadToken:
        raise
    except (Denied, ThreadNotFound) as error:
        log.warning("thread stays as it is", path=entry.path, thread=entry.thread, error=str(error))
        done = True
    return entry.model_copy(update={"closed": wanted}) if done else entry


def _set(context: BoardContext, entry: IndexEntry, number: int, status: ThreadStatus) -> bool:
    if context.effects.mode(Effect.CLOSE) is EffectMode.ON:  # otherwise the write is only listed, which needs no call
        thread = context.hub.thread(context.requests, number)
        if thread.is_pull_request or not is_by(context.me(), thread.author_id, thread.author_name):
            return True  # another account opened it, and decides
        if thread.status == status:
            return True
    marker = context.marker("close", f"{entry.attempt or entry.file_oid} {entry.path}")
    return context.effects.set_status(context.requests, number, status, marker, wake=request_key(entry.path))
