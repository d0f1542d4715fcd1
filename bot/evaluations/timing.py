"""What is counted of each attempt for those who look how long things take: its wait, how it ended, how long it took."""

from __future__ import annotations

from bot.core.context import BoardContext
from bot.evaluations.costs import AFTERWARDS
from bot.request_files.gather import RequestFacts
from leaderboard.requests import RequestPath, parse_path
from leaderboard.timings import End
from redis_state.board.entry import IndexEntry

OTHER = "other"
"""Stands for every precision that is none of the board's: what is written in a path is a stranger's word."""


def count_start(context: BoardContext, gathered: RequestFacts) -> None:
    """The attempt was claimed. Only the first one that people asked for tells of the wait: others waited for us."""
    entry, attempt = gathered.entry, gathered.attempt
    if attempt is None or gathered.turn.tries > 1 or not 0 < entry.submitted <= context.now():
        return
    precision = _precision(context, entry)
    context.timings.waited(
        attempt, context.now() - entry.submitted, tier=entry.tier, precision=precision, now=context.now()
    )


def count_end(
    context: BoardContext, entry: IndexEntry, attempt: str, end: End, *, seconds: float | None = None
) -> None:
    """The attempt is over; `seconds` is how long its worker says it took, where it came to results."""
    if not attempt:
        return
    took = min(seconds, context.board.attempt_seconds + AFTERWARDS) if seconds is not None and seconds > 0 else None
    precision = _precision(context, entry)
    context.timings.ended(attempt, end, seconds=took, tier=entry.tier, precision=precision, now=context.now())


def _precision(context: BoardContext, entry: IndexEntry) -> str:
    where = parse_path(entry.path)
    said = where.precision if isinstance(where, RequestPath) else ""
    return said if said in context.board.precisions else OTHER
