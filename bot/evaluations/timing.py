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


def count_start(desk: BoardContext, gathered: RequestFacts) -> None:
    """The attempt was claimed. Only the first one that people asked for tells of the wait: others waited for us."""
    entry, attempt = gathered.entry, gathered.attempt
    if attempt is None or gathered.turn.tries > 1 or not 0 < entry.submitted <= desk.now():
        return
    precision = _precision(desk, entry)
    desk.timings.waited(attempt, desk.now() - entry.submitted, tier=entry.tier, precision=precision, now=desk.now())


def count_end(desk: BoardContext, entry: IndexEntry, attempt: str, end: End, *, seconds: float | None = None) -> None:
    """The attempt is over; `seconds` is how long its worker says it took, where it came to results."""
    if not attempt:
        return
    took = min(seconds, desk.board.attempt_seconds + AFTERWARDS) if seconds is not None and seconds > 0 else None
    precision = _precision(desk, entry)
    desk.timings.ended(attempt, end, seconds=took, tier=entry.tier, precision=precision, now=desk.now())


def _precision(desk: BoardContext, entry: IndexEntry) -> str:
    where = parse_path(entry.path)
    said = where.precision if isinstance(where, RequestPath) else ""
    return said if said in desk.board.precisions else OTHER
