"""The file of pauses: read when our edit of it has landed, or when others changed it.

Race closed: our edit lands while the sync of the requests repo looks at an older commit. That sync has the file read
anew, and learns nothing from the older one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from bot.core.context import BoardContext
from bot.core.waiting_threads import DIGEST
from bot.queue.dispatching import QUEUE
from bot.request_files.reading import newest_commit, read_at
from hub.errors import TooLarge
from leaderboard.holds import MAX_PAUSES, PAUSES
from leaderboard.outbreaks import suites_paused_by_outbreak
from redis_state.board.pauses import PAUSED
from redis_state.dirty import SyncPriority

if TYPE_CHECKING:
    from bot.core.mirrors.mirror import MirrorView

TOO_LARGE = "too large"
"""Stands for the blob id of a file that is too large to be read."""


def sync_pauses(context: BoardContext) -> None:
    """Read the file, and have dispatch go by it. One call."""
    try:
        file = read_at(context, PAUSES, newest_commit(context), max_bytes=MAX_PAUSES)
    except TooLarge:
        context.pauses.learn(TOO_LARGE, None)
    else:
        context.pauses.learn(file.oid if file is not None else None, file.data if file is not None else None)
    _call(context)


def learn_pauses(context: BoardContext, view: MirrorView, head: str) -> None:
    """Have the file read if the one at `head` is another one than is known. No call."""
    if not context.pauses.is_read(view.find(head, PAUSES)):
        context.mark(PAUSED, SyncPriority.PERSON)


def _call(context: BoardContext) -> None:
    """Have dispatch go by the pauses, and maintainers told of those that are not theirs."""
    context.mark(QUEUE, SyncPriority.PERSON)
    if suites_paused_by_outbreak(context.pauses.all()):
        context.mark(DIGEST)
