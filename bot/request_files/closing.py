"""Close the thread that we opened for a request once it waits for nobody any more, and open it again if it does.

Finished and withdrawn requests wait for nobody. One that failed, or was refused, waits for a person. What people open
again or close themselves stays so: a thread is touched once for each change of its request, and only opened again if
it was we who closed it.

Race accepted: after Redis was lost it is not known any more that we closed a thread. It then stays closed while its
request is evaluated anew; the status comment in it is kept up to date all the same.
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
LEAVES = 0.2
"""The share of our half of the webhook's day below which a thread stays as it is: others need the deliveries more."""


def close_or_open(context: BoardContext, entry: IndexEntry, state: State) -> IndexEntry:
    """Have the thread of `entry` be closed or open as `state` asks for; the entry with what was done.

    Three calls where something changes, none where nothing does.
    """
    wanted = state in OVER
    if entry.thread is None or entry.closed == wanted or comment_quota.left(context, context.requests) <= LEAVES:
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
    if context.effects.mode(Effect.CLOSE) is EffectMode.ON:  # else it is only listed, and no call is made for that
        thread = context.hub.thread(context.requests, number)
        if thread.is_pull_request or not is_by(context.me(), thread.author_id, thread.author_name):
            return True  # not ours: whoever opened it decides
        if thread.status == status:
            return True
    marker = context.marker("close", f"{entry.attempt or entry.file_oid} {entry.path}")
    return context.effects.set_status(context.requests, number, status, marker, wake=request_key(entry.path))
