"""Circuit breaker: if one cause ends attempts of many models, ask for a canary, and pause the suite if it fails too.

The rule is `leaderboard.outbreaks.suspicion`. The pause is an entry in the file of pauses, with the reason, which the
queue page shows; a paused suite is not paused again. When the pause has landed, the maintainers' thread reports it once
(`bot.core.waiting_threads`).
"""

from __future__ import annotations

import structlog

from bot.core.context import BoardContext
from bot.queue.rulings import pause
from leaderboard.attempts import Outcome
from leaderboard.outbreaks import BY, WINDOW_SECONDS, EndedAttempt, models_struck, suspicion
from redis_state.canaries import Canaries
from redis_state.dirty import SyncPriority

log = structlog.get_logger()

OUTBREAK = "outbreak"
"""Kind of the dirty keys `outbreak:{suite}`."""


def note(context: BoardContext, model: str, outcome: Outcome) -> None:
    """Count the end of the attempt of `outcome`, once."""
    canaries = _canaries(context, outcome.suite)
    cause = outcome.failure.cause if outcome.failure is not None else ""
    ended = EndedAttempt(outcome.attempt, model, cause, at=min(outcome.ended, context.now()))
    if not canaries.note(ended):
        return
    context.meters.count("attempts_ended", cause or "none")
    if cause:
        context.mark(canaries.key, SyncPriority.EVENT)


def sync_outbreak(context: BoardContext, suite: str) -> None:
    """Act on a canary's verdict; without one, ask for a canary if the failures look like an outbreak."""
    canaries, now = _canaries(context, suite), context.now()
    paused = f"suite:{suite}" in context.pauses.all()
    if (verdict := canaries.verdict()) is not None:
        # The canary may have taken long, so failures from before it was asked for count too.
        struck = models_struck(canaries.ended(), verdict.cause, now=now, window=2 * WINDOW_SECONDS)
        if not struck.is_large_enough:
            log.warning("an unexpected verdict of a canary", suite=suite, cause=verdict.cause, worker=verdict.worker)
        elif verdict.died_of and not paused:
            ruling = pause(context, f"suite:{suite}", struck.reason(verdict.died_of), BY)
            log.error("outbreak", suite=suite, cause=verdict.cause, died_of=verdict.died_of, ruling=ruling.code)
        elif not verdict.died_of:
            log.info("no outbreak: the canary lives", suite=suite, cause=verdict.cause)
        canaries.settle(verdict.cause, now=now)
        return
    suspected = suspicion(canaries.ended(), now=now, cleared=canaries.cleared())
    if suspected is not None and not paused and canaries.ask(suspected.cause):
        log.warning("canary asked for", suite=suite, cause=suspected.cause, models=suspected.models)


def _canaries(context: BoardContext, suite: str) -> Canaries:
    return Canaries(context.redis, context.keys, suite)
