"""Counts for the statistics of each attempt: its wait, its end and its duration."""

from __future__ import annotations

from bot.core.context import BoardContext
from bot.evaluations.costs import PUBLICATION_SECONDS
from bot.request_files.gather import RequestFacts
from leaderboard.requests import RequestPath, parse_path
from leaderboard.timings import End
from redis_state.board.entry import IndexEntry

OTHER = "other"
"""Counted for every precision that is not one of the board's: paths are untrusted input."""


def count_start(context: BoardContext, gathered: RequestFacts) -> None:
    """Count the wait of a claimed attempt. Automatic retries do not count: only people's requests measure the queue."""
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
    """Count the end of an attempt; `seconds` is its duration by its worker, if it has results."""
    if not attempt:
        return
    limit = context.board.attempt_seconds + PUBLICATION_SECONDS
    duration = min(seconds, limit) if seconds is not None and seconds > 0 else None
    precision = _precision(context, entry)
    context.timings.ended(attempt, end, seconds=duration, tier=entry.tier, precision=precision, now=context.now())


def _precision(context: BoardContext, entry: IndexEntry) -> str:
    path = parse_path(entry.path)
    precision = path.precision if isinstance(path, RequestPath) else ""
    return precision if precision in context.board.precisions else OTHER
