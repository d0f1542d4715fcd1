"""What an attempt took, counted once when it has ended, by whoever sees that first."""

from __future__ import annotations

from bot.core.context import BoardContext
from leaderboard.attempts import Outcome
from redis_state.board.entry import IndexEntry
from redis_state.board.measures import Cost

AFTERWARDS = 3_600.0
"""Seconds beyond the board's limit that an attempt may say it took: publishing comes on top."""


def count(context: BoardContext, entry: IndexEntry, attempt: str, outcome: Outcome | None = None) -> None:
    """Count what `attempt` took of the budgets; where it came to results, learn how long such an evaluation takes."""
    state = context.attempts.read(attempt) if outcome is None else None
    started, ended = (outcome.started, outcome.ended) if outcome is not None else (0.0, context.now())
    if state is not None and state.state not in ("queued", "handed-back"):
        started = state.started
    if not started or ended < started:
        return
    seconds = min(ended - started, context.board.attempt_seconds + AFTERWARDS)  # a worker's word is a stranger's
    new = context.measures.spend(Cost(attempt, entry.path, entry.tier, entry.submitter, seconds, ended=context.now()))
    if new and outcome is not None and outcome.ok:
        context.measures.learn(outcome.suite, entry.size, seconds)
