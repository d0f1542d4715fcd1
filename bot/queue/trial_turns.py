"""Turns of trials: put them into RQ for workers that no request needs, and stop a trial whose worker a request needs.

Race accepted: a worker is free for a moment, a trial starts there, and a request comes. The answer to the worker's next
heartbeat stops the trial, which then waits again.
"""

from __future__ import annotations

from collections.abc import Sequence

import structlog

from bot.core.context import BoardContext
from leaderboard.dispatch import WaitingRequest
from leaderboard.queue_snapshot import QueueSnapshot
from leaderboard.tiers import Tier
from leaderboard.trial_dispatch import choose_trials
from leaderboard.trials import MAX_SECONDS
from redis_state import jobs
from redis_state.board.trials import Trial

log = structlog.get_logger()

TAKEN = ("taken", "claimed", "running")
"""States of attempts that a worker has taken."""
LOST_IN_RQ_SECONDS = 30.0
"""Seconds after which a job that is in no queue, and that no worker took, is queued again."""


def take_trial_turns(
    context: BoardContext, snapshot: QueueSnapshot, chosen: Sequence[WaitingRequest]
) -> dict[str, tuple[Trial, Tier]]:
    """Stop the trials whose workers are needed. Return attempt → the trial that belongs in RQ now, and its queue."""
    pending = {trial.job.attempt: trial for trial in context.trials.pending()}
    if not pending:
        return {}
    states = context.attempts.read_all(pending)
    running = {attempt for attempt, state in states.items() if state.state in TAKEN}
    waiting = [
        _with_present_suite(context, trial)
        for attempt, trial in pending.items()
        if attempt not in states or states[attempt].state in ("queued", "handed-back")
    ]
    pending |= {trial.job.attempt: trial for trial in waiting}
    turns = choose_trials([trial.waiting for trial in waiting], running, chosen, snapshot.conditions)
    for attempt in turns.stop:
        log.info("trial stopped", attempt=attempt, path=pending[attempt].path)
        context.trials.put(pending[attempt].model_copy(update={"stopped": True}))
        context.attempts.cancel(attempt)
    return {turn.attempt: (pending[turn.attempt], snapshot.conditions.queue_of(turn.tier)) for turn in turns.start}


def _with_present_suite(context: BoardContext, trial: Trial) -> Trial:
    """`trial`, or its next attempt where its job is for another version of the suite than the board's."""
    suite = context.suite
    if trial.job.suite_digest == suite.digest:
        return trial
    job = trial.job.model_copy(update={"suite": suite.name, "suite_digest": suite.digest})
    renewed = trial.model_copy(update={"job": job}).again(failed=False)
    context.trials.put(renewed)
    return renewed


def queue_trial(context: BoardContext, trial: Trial, tier: Tier, queued_in: str | None) -> None:
    """Put the job of `trial` into the queue of `tier`, unless it is there (`queued_in`)."""
    name, now = context.queue(tier), context.now()
    if queued_in == name or 0 <= now - trial.queued < LOST_IN_RQ_SECONDS:
        return
    if not context.attempts.queued(trial.job.attempt, trial.path, now=now):
        return  # a worker sends heartbeats for it
    jobs.delete(context.redis, trial.job.attempt)
    new = jobs.enqueue(context.redis, name, trial.job, timeout=min(MAX_SECONDS, context.board.attempt_seconds))
    context.trials.put(trial.model_copy(update={"queued": now}))
    log.info("trial queued", attempt=trial.job.attempt, path=trial.path, tier=tier, new=new)
