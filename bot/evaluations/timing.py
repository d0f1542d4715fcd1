"""Counts for each attempt: its wait, its end and its duration for the statistics, its GPU time for the budgets."""

from __future__ import annotations

from bot.core.context import BoardContext
from bot.request_files.gather import RequestFacts
from leaderboard.attempts import Outcome
from leaderboard.request_paths import RequestPath, parse_path
from leaderboard.results import results_time
from leaderboard.timings import End
from redis_state.board.entry import IndexEntry
from redis_state.board.measures import Cost

PUBLICATION_SECONDS = 3_600.0
"""Time beyond the board's limit that an attempt may claim to have taken, for its publication."""
OTHER = "other"
"""Counted for every precision that is not one of the board's: paths are untrusted input."""


def count_start(context: BoardContext, gathered: RequestFacts) -> None:
    """Count the wait of a claimed attempt. Automatic retries do not count: only people's requests measure the queue."""
    entry, attempt = gathered.entry, gathered.attempt
    if attempt is None or gathered.current.tries > 1 or not 0 < entry.submitted <= context.now():
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


def count_gpu_time(context: BoardContext, entry: IndexEntry, attempt: str, outcome: Outcome | None = None) -> None:
    """Count the GPU time of an ended `attempt` in the budgets, once: the first caller that sees the end counts.

    If it computed all its results, learn the duration of such evaluations, too.
    """
    state = context.attempts.read(attempt) if outcome is None else None
    started, ended = (outcome.started, outcome.ended) if outcome is not None else (0.0, context.now())
    if state is not None and state.state not in ("queued", "handed-back"):
        started = state.started
    if not started or ended < started:
        return
    # Workers are not trusted, so the time is bounded.
    seconds = min(ended - started, context.board.attempt_seconds + PUBLICATION_SECONDS)
    new = context.measures.spend(Cost(attempt, entry.path, entry.tier, entry.submitter, seconds, ended=context.now()))
    if new and outcome is not None and outcome.ok and not outcome.replayed:
        context.measures.learn(outcome.suite, entry.size, min(seconds, _evaluation_seconds(outcome)))


def _evaluation_seconds(outcome: Outcome) -> float:
    """The duration of the evaluation, which ends at the time in the name of its results: publication may take long.

    The duration of the whole attempt, if the name gives no time within it.
    """
    evaluated = results_time(outcome.details.results_path) if outcome.details is not None else None
    if evaluated is None or not outcome.started < evaluated <= outcome.ended:
        evaluated = outcome.ended
    return evaluated - outcome.started


def _precision(context: BoardContext, entry: IndexEntry) -> str:
    path = parse_path(entry.path)
    precision = path.precision if isinstance(path, RequestPath) else ""
    return precision if precision in context.board.precisions else OTHER
