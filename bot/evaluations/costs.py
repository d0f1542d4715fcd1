"""GPU time of an attempt, counted once when it has ended, by the first caller that sees the end."""

from __future__ import annotations

from bot.core.context import BoardContext
from leaderboard.attempts import Outcome
from redis_state.board.entry import IndexEntry
from redis_state.board.measures import Cost

PUBLICATION_SECONDS = 3_600.0
"""Time beyond the board's limit that an attempt may claim to have taken, for its publication."""


def count(context: BoardContext, entry: IndexEntry, attempt: str, outcome: Outcome | None = None) -> None:
    """Count the GPU time of `attempt` in the budgets; if it has results, learn the duration of such evaluations too."""
    state = context.attempts.read(attempt) if outcome is None else None
    started, ended = (outcome.started, outcome.ended) if outcome is not None else (0.0, context.now())
    if state is not None and state.state not in ("queued", "handed-back"):
        started = state.started
    if not started or ended < started:
        return
    # Workers are not trusted, so the time is bounded.
    seconds = min(ended - started, context.board.attempt_seconds + PUBLICATION_SECONDS)
    new = context.measures.spend(Cost(attempt, entry.path, entry.tier, entry.submitter, seconds, ended=context.now()))
    if new and outcome is not None and outcome.ok:
        context.measures.learn(outcome.suite, entry.size, seconds)
