"""Reading the file of pauses when an edit of the bot has landed or another program changed it.

A file at the path of earlier versions counts where there is none at the present one, until it is moved
(`bot.core.former_paths`).

Race closed: the bot's edit lands while the sync of the requests repo reads an older commit. That sync only marks the
file to be read again, and takes nothing from the older commit.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from bot.core.context import BoardContext
from bot.core.former_paths import mark_former_paths
from bot.core.waiting_threads import DIGEST
from bot.queue.dispatching import QUEUE
from hub.errors import TooLarge
from leaderboard.adoption import FORMER_RECORD
from leaderboard.holds import FORMER_PAUSES, MAX_PAUSES, PAUSES
from leaderboard.outbreaks import suites_paused_by_outbreak
from redis_state.board.pauses import PAUSED
from redis_state.dirty import SyncPriority

if TYPE_CHECKING:
    from bot.core.mirrors.mirror import MirrorView

TOO_LARGE = "too large"
"""Stored instead of the blob id if the file is too large to read."""


def sync_pauses(context: BoardContext) -> None:
    """Read the file and mark dispatch, which follows it. At most two calls if the mirror has the commit."""
    try:
        commit = context.request_files.newest()
        file = context.request_files.read(PAUSES, commit, max_bytes=MAX_PAUSES)
        if file is None:
            file = context.request_files.read(FORMER_PAUSES, commit, max_bytes=MAX_PAUSES)
    except TooLarge:
        context.pauses.learn(TOO_LARGE, None)
    else:
        context.pauses.learn(file.oid if file is not None else None, file.data if file is not None else None)
    _mark_followers(context)


def learn_pauses(context: BoardContext, view: MirrorView, head: str) -> None:
    """Mark the file to be read if it differs at `head`, and files at former paths to be moved. No call."""
    present, former = view.find(head, PAUSES), view.find(head, FORMER_PAUSES)
    if present is not None and former is not None:
        # A process of an earlier version wrote at the former path after the move: that counts once it is moved.
        mark_former_paths(context, wait=0.0)
    elif former is not None or view.find(head, FORMER_RECORD) is not None:
        mark_former_paths(context)
    if not context.pauses.is_read(present or former):
        context.mark(PAUSED, SyncPriority.PERSON)


def _mark_followers(context: BoardContext) -> None:
    """Mark dispatch, which follows the pauses, and the maintainers' list, which reports pauses by an outbreak."""
    context.mark(QUEUE, SyncPriority.PERSON)
    if suites_paused_by_outbreak(context.pauses.all()):
        context.mark(DIGEST)
