"""One cause that strikes many models at once: ask for a canary, and pause the suite where that dies too.

The rule is `leaderboard.outbreaks.suspicion`. The pause is a member of the file of pauses, with the reason: whoever
looks at the queue reads it, and who is paused already is not paused again. Once that has landed, maintainers are told
in their thread, once (`bot.core.waiting_threads`).
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
"""Kind of the dirty key of a suite's outbreaks."""


def note(context: BoardContext, model: str, outcome: Outcome) -> None:
    """The attempt of `outcome` has ended: that counts, once."""
    canaries = _canaries(context, outcome.suite)
    cause = outcome.failure.cause if outcome.failure is not None else ""
    ended = EndedAttempt(outcome.attempt, model, cause, at=min(outcome.ended, context.now()))
    if not canaries.note(ended):
        return
    context.meters.count("attempts_ended", cause or "none")
    if cause:
        context.mark(canaries.key, SyncPriority.EVENT)


def sync_outbreak(context: BoardContext, suite: str) -> None:
    """Act upon a canary's verdict; else ask for one where deaths look like an outbreak."""
    canaries, now = _canaries(context, suite), context.now()
    paused = f"suite:{suite}" in context.pauses.all()
    if (verdict := canaries.verdict()) is not None:
        # The canary may have taken long: those count who died before it was asked for.
        found = models_struck(canaries.ended(), verdict.cause, now=now, window=2 * WINDOW_SECONDS)
        if not found.is_one:
            log.warning("a verdict that nobody asked for", suite=suite, cause=verdict.cause, worker=verdict.worker)
        elif verdict.died_of and not paused:
            ruling = pause(context, f"suite:{suite}", found.reason(verdict.died_of), BY)
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
