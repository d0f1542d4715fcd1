"""The file of pauses: read from the Hub when our edit of it has landed, or from the mirror when others changed it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bot.core.context import BoardContext
from bot.core.waiting_threads import DIGEST
from bot.queue.dispatching import QUEUE
from hub.errors import TooLarge
from leaderboard.holds import MAX_PAUSES, PAUSES
from leaderboard.outbreaks import suites_paused_by_outbreak
from redis_state.dirty import SyncPriority

if TYPE_CHECKING:
    from bot.core.mirrors.mirror import MirrorView

TOO_LARGE = "too large"
"""Stands for the blob id of a file that is too large to be read."""


def sync_pauses(context: BoardContext) -> None:
    """Read the file, and have dispatch go by it. One call."""
    try:
        file = context.hub.find_file(context.requests, PAUSES, max_bytes=MAX_PAUSES)
    except TooLarge:
        context.pauses.learn(TOO_LARGE, None)
    else:
        context.pauses.learn(file.oid if file is not None else None, file.data if file is not None else None)
    _call(context)


def learn_pauses(context: BoardContext, view: MirrorView, head: str) -> None:
    """Go by the file as it is at `head`, if that is another one than is known. No call."""
    oid = view.find(head, PAUSES)
    if context.pauses.is_read(oid):
        return
    context.pauses.learn(oid, view.blob(oid, max_bytes=MAX_PAUSES) if oid is not None else None)
    _call(context)


def _call(context: BoardContext) -> None:
    """Have dispatch go by the pauses, and maintainers told of those that are not theirs."""
    context.mark(QUEUE, SyncPriority.PERSON)
    if suites_paused_by_outbreak(context.pauses.all()):
        context.mark(DIGEST)
