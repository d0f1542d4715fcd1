"""The evaluation of an attempt: its phases, its time limit, and the children that compute it."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

from leaderboard.result_digests import rules_digest
from redis_state.accepted_digests import AcceptedTasks
from redis_state.attempts import AttemptProgress
from redis_state.jobs import EvaluationJob
from workers.common.logs import BoundedLog
from workers.common.run_plan import RunPlan, RunProgress
from workers.jobs.attempt_heartbeat import AttemptHeartbeat
from workers.jobs.attempt_journals import AttemptJournals
from workers.jobs.background_call import AttemptStopped
from workers.jobs.device_lock import device_lock
from workers.jobs.planning import plan_of, smaller_batch
from workers.jobs.provisions import Provisions
from workers.jobs.trials import TrialPart
from workers.jobs.worker_context import WorkerContext
from workers.sandbox.supervision import ChildCallbacks, ChildExit, ChildSupervisor


class AttemptEvaluation:
    """Runs the children of an attempt, one after the other, and reports their progress by its heartbeat."""

    def __init__(
        self,
        worker_context: WorkerContext,
        job: EvaluationJob,
        log: BoundedLog,
        heartbeat: AttemptHeartbeat,
        journals: AttemptJournals,
    ) -> None:
        self.worker_context = worker_context
        self.job = job
        self.log = log
        self.heartbeat = heartbeat
        self.journals = journals
        self.phase = "claim"
        self.replayed = 0
        """Answers that come from a journal, or from another machine, instead of a child's computation."""
        self.accepted = AcceptedTasks(frozenset(), None)
        """The tasks that the board accepts for its suite."""
        self.trial_part: TrialPart | None = None
        """The part of a trial that is computed; None for an evaluation."""
        self.deadline = time.monotonic() + self._max_seconds()

    def enter_phase(self, phase: str) -> None:
        """Note that a phase begins, in the log and for the bot."""
        self.phase = phase
        self.log.say(phase)
        self.heartbeat.report(AttemptProgress(phase))

    def stop_reason(self) -> str:
        """Return the reason to end the attempt now, or an empty string; upload answers if that is due."""
        self.journals.poll()
        if self.worker_context.stopping():
            return "handed-back"
        if self.heartbeat.cancelled:
            return "cancelled"
        return "time-limit" if time.monotonic() > self.deadline else ""

    def stop_waiting(self) -> str:
        """Why to stop waiting for a claim or a device; the attempt's own time does not run while it waits."""
        reason = self.stop_reason()
        return "" if reason == "time-limit" else reason

    @contextmanager
    def device_locked(self) -> Iterator[None]:
        """Hold the device exclusively. Seconds spent waiting for it extend the deadline, as those for the claim do."""
        if not self.worker_context.settings.take_turns:
            yield
            return
        with device_lock(
            self.worker_context.settings.work_dir.resolve() / "devices", self.worker_context.devices, self.stop_waiting
        ) as seconds_waited:
            self.deadline += seconds_waited
            yield

    def plan(self, provisions: Provisions, batch_size: int | None = None) -> RunPlan:
        """The plan of a child, which may take the seconds that are left of the attempt."""
        seconds_left = self.deadline - time.monotonic()
        plan = plan_of(self.worker_context, self.job, provisions, seconds=seconds_left, batch_size=batch_size)
        accepted = {
            "rules": rules_digest(self.worker_context.suite),
            "accepted": tuple(sorted(self.accepted.fingerprints)),
        }
        plan = plan.model_copy(update=accepted)
        return plan if self.trial_part is None else self.trial_part.plan(plan)

    def run_model(self, provisions: Provisions) -> tuple[RunPlan, ChildExit]:
        """Run the child; after it runs out of memory, run it again with half the batch size, down to one.

        One question at a time is computed the harness's way, which needs the least memory.
        """
        plan = self.journals.name_in(self.plan(provisions), provisions)
        engine = plan.engine
        while True:
            child_exit = self.run_child(plan)
            batch_size: int | None
            if self.journals.drop_offered(plan, child_exit):
                self.replayed = 0
                batch_size = plan.batch_size
            else:
                batch_size = None if child_exit.finished else smaller_batch(child_exit.evidence(self.log.tail()), plan)
                if batch_size is None:
                    return plan, child_exit
                self.log.say(f"it ran out of memory with batch size {plan.batch_size}; it runs again with {batch_size}")
                engine = "harness" if batch_size == 1 and plan.evaluator is None else engine
            self.worker_context.slot.prepare(own_user=self.worker_context.own_user)
            plan = self.journals.name_in(self.plan(provisions, batch_size), provisions)
            plan = plan.model_copy(update={"engine": engine})

    def run_child(self, plan: RunPlan) -> ChildExit:
        """Run one child to its end. Raises AttemptStopped if it failed because the worker stops."""
        self.enter_phase("start")
        callbacks = ChildCallbacks(report=self._report, stop=self.stop_reason, log=self.log)
        supervisor = ChildSupervisor(
            self.worker_context.zygote_client,
            self.worker_context.sandbox_spec(plan),
            plan,
            callbacks,
            journals=self.journals.files(plan),
            offered=self.journals.offered(plan),
        )
        child_exit = supervisor.run(self.worker_context.slot.attempt, deadline=self.deadline)
        self.phase = child_exit.phase
        if self.replayed:
            source = "another machine" if plan.offered else "the journal"
            self.log.say(f"{self.replayed:,} answers came from {source}")
        if child_exit.peak_bytes:
            self.log.say(f"the child has ended; peak memory {child_exit.peak_bytes >> 20} MiB")
        if not child_exit.finished and self.worker_context.stopping():
            raise AttemptStopped("handed-back")
        return child_exit

    def _report(self, progress: RunProgress) -> None:
        self.journals.observe(progress)
        self.replayed = max(self.replayed, progress.replayed)
        self.heartbeat.report(AttemptProgress(progress.phase, progress.done, progress.total, progress.replayed))

    def _max_seconds(self) -> float:
        """The smallest of the limits that apply: the worker's, the job's, the board's."""
        limits = (
            self.worker_context.settings.max_seconds,
            self.worker_context.seconds,
            float(self.worker_context.board.attempt_seconds),
        )
        return min(filter(None, limits))
