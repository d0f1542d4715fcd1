"""The sync of worker backends: starts and cancels runs, so that each attempt in a backend's queue has one.

Race closed: the bot dies between starting a run and recording it. It records the intention before it starts the run,
and the next sync finds the run by its label.
Race closed: the platform's list lacks a run that was just started. Its record counts as a run for INTENT_SECONDS.
Race closed: two runs of one attempt. One of them takes the job out of the queue, and the other one ends at once.
Race closed: Redis was lost. Runs are found by their labels, and cancelled where their attempt is no longer wanted.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

import structlog

from bot.core.attempt_tokens import AttemptGrant
from bot.core.context import BoardContext
from bot.core.platforms import LaunchOrder, Platform, PlatformError
from leaderboard.backend_settings import BackendSettings
from leaderboard.backend_troubles import BackendTrouble
from leaderboard.backends import LIVE, BackendFacts, BackendPlan, BackendRun, merge_runs, plan_runs
from leaderboard.tiers import Tier
from leaderboard.trials import MAX_SECONDS
from redis_state import jobs
from redis_state.attempts import LOST
from redis_state.crashpoints import pass_by, point
from redis_state.jobs import EvaluationJob

log = structlog.get_logger()

INTERVAL_SECONDS = 20.0
"""Seconds between two syncs of the backends while a run is live or an attempt waits for one."""
MAX_ERROR = 500
"""Characters of a platform's error that are recorded."""
TAKEN = ("taken", "claimed", "running")
"""States of attempts that a worker has."""
INTENDED = point("run of a backend intended, not started")
STARTED = point("run of a backend started, not recorded")


def sync_backends(context: BoardContext) -> float | None:
    """Bring the runs of all backends in step with the queue. Return when to sync again; None while they are idle."""
    is_busy = False
    for tier, backend in context.board.backends.items():
        platform = context.platforms.by_tier.get(tier) if context.platforms is not None else None
        if platform is None:
            continue  # this process has no access to the platform; another one syncs it
        try:
            is_busy |= TierSync(context, tier, backend, platform).run()
        except PlatformError as error:
            log.warning("a backend does not answer", tier=tier, error=str(error))
            error_words = str(error)[:MAX_ERROR]
            context.backend_runs.put_trouble(BackendTrouble(tier, context.now(), error=error_words))
            is_busy = True
    return context.now() + INTERVAL_SECONDS if is_busy else None


class TierSync:
    """Brings the runs of one tier in step with its queue. Use an instance once."""

    def __init__(self, context: BoardContext, tier: Tier, backend: BackendSettings, platform: Platform) -> None:
        self._context = context
        self._tier = tier
        self._backend = backend
        self._platform = platform
        self._now = context.now()

    def run(self) -> bool:
        """Start and cancel runs. Return whether a run is live or an attempt waits. Raises PlatformError."""
        context = self._context
        waiting = jobs.waiting_jobs(context.redis, context.queue(self._tier))
        listed, recorded = self._platform.runs(), context.backend_runs.read(self._tier)
        wanted = {*waiting, *self._in_progress([*listed, *recorded])}
        runs = merge_runs(recorded, listed, wanted, self._now)
        context.backend_runs.replace(self._tier, runs)
        facts = BackendFacts(tuple(waiting), runs, self._now, self._refused(runs, wanted))
        plan = plan_runs(self._backend, facts, context.board.attempt_seconds)
        for run in plan.cancel:
            log.info("run cancelled", run=run.id, attempt=run.attempt)
            self._platform.cancel(run)
        for attempt in plan.launch:
            self._launch(waiting[attempt])
        self._record_trouble(plan)
        return bool(waiting) or any(run.stage in LIVE for run in runs)

    def _record_trouble(self, plan: BackendPlan) -> None:
        """Record for the maintainers why attempts of this tier wait; clear the record if none has to."""
        if not plan.blocked and not plan.failing:
            self._context.backend_runs.clear_trouble(self._tier)
            return
        log.warning("attempts of a backend wait", tier=self._tier, limit=plan.blocked, failing=plan.failing)
        trouble = BackendTrouble(self._tier, self._now, blocked=plan.blocked, failing=plan.failing)
        self._context.backend_runs.put_trouble(trouble)

    def _in_progress(self, runs: Iterable[BackendRun]) -> set[str]:
        """The attempts of `runs` that the index lists as busy, or whose worker sends heartbeats and may go on."""
        attempts, registry = {run.attempt for run in runs}, self._context.attempts
        busy = {entry.attempt for entry in self._context.index.busy() if entry.attempt in attempts}
        states = registry.read_all(attempts - busy)
        beating = {name for name, state in states.items() if state.state in TAKEN and self._now - state.beat <= LOST}
        return {name for name in busy if name is not None} | {name for name in beating if not registry.is_over(name)}

    def _refused(self, runs: Sequence[BackendRun], wanted: set[str]) -> float:
        """When a run last reported tasks that differ from the board's; 0 if none did, or if a later run ended well."""
        digests, attempts = self._context.accepted_digests, {run.attempt for run in runs}
        refused = {refusal.attempt: refusal for refusal in digests.waiting() if refusal.attempt in attempts}
        ended_well = [
            run.closed for run in runs if run.stage == "ended" and run.attempt not in (wanted | refused.keys())
        ]
        latest = 0.0
        for refusal in refused.values():
            if max(ended_well, default=0.0) > refusal.at:
                digests.leave(refusal.worker)
            elif digests.must_wait(refusal.worker):
                latest = max(latest, refusal.at)
        return latest

    def _launch(self, job: EvaluationJob) -> None:
        """Record the intention to run `job`, start the run, and record it instead. Raises PlatformError."""
        platforms, records = self._context.platforms, self._context.backend_runs
        assert platforms is not None
        limit = float(self._context.board.attempt_seconds)
        limit = min(limit, MAX_SECONDS) if job.questions else limit  # a trial
        seconds = self._backend.seconds(limit)
        name = f"start {job.attempt} {self._now:.3f}"
        intent = BackendRun(name, job.attempt, self._tier, "waiting", self._now, known=self._now)
        records.put(intent)
        pass_by(INTENDED)
        expires = self._now + seconds + self._backend.wait_seconds
        grant = AttemptGrant(
            attempt=job.attempt, path=job.path, expires=expires, seconds=self._backend.evaluation_seconds(limit)
        )
        order = LaunchOrder(
            attempt=job.attempt,
            tier=self._tier,
            model=job.model,
            revision=job.revision,
            private=job.private,
            seconds=seconds,
            board_url=platforms.board_url,
            token=platforms.tokens.issue(grant),
        )
        run_id = self._platform.launch(order)
        pass_by(STARTED)
        log.info("run started", run=run_id, attempt=job.attempt, tier=self._tier)
        records.put(replace(intent, id=run_id, seen=self._now))
        records.remove(intent)
