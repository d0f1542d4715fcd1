"""One attempt, as the process of its job carries it out.

    take ─ claim? ── granted ─ provisions ─ child ─ publish ─ end, and mark the request dirty
      │      │                                     └ any failure: diagnosed, and ended like that
      │      └ void: the attempt is no longer wanted; stop, and say nothing
      └ another worker beats for it: leave it to that one, and say nothing
    a stop of the worker: return, and leave the rest (hand back, requeue) to the worker that runs this job

Downloads begin before the claim is answered. While Redis is away the evaluation goes on: beats are tried again, and
the end is told when Redis is back. Until it is told, outcome and log lie in the slot's folder, where a worker that
is started anew finds them (`workers.jobs.outbox`).
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

import redis

from leaderboard.attempts import Details, Outcome
from leaderboard.evidence import FailureEvidence
from redis_state.attempts import LOST
from redis_state.attempts import AttemptProgress as Told
from redis_state.clock import now
from redis_state.crashpoints import pass_by, point
from redis_state.jobs import EvaluationJob
from workers.common.diagnosis import diagnose, evidence_of, failure_detail
from workers.common.logs import BoundedLog
from workers.common.run_plan import RunPlan, RunProgress
from workers.common.scrub import scrub
from workers.errors import DatasetUnavailable, EvaluationFailed, WorkerError
from workers.jobs.attempt_heartbeat import AttemptHeartbeat
from workers.jobs.background_call import AttemptStopped, BackgroundCall
from workers.jobs.canary import canary_job, canary_plan, ensure_canary_model, report_canary_failure, run_canary
from workers.jobs.claim import AttemptClaim
from workers.jobs.device_lock import device_lock
from workers.jobs.outbox import BoardRedis, send_unsent_outcome, store_outcome
from workers.jobs.outcomes import outcome_of
from workers.jobs.planning import plan_of, smaller_batch
from workers.jobs.provisions import Provisions
from workers.jobs.worker_context import WorkerContext
from workers.publication.publish import Publication, read_spool
from workers.sandbox.supervision import ChildCallbacks, ChildExit, ChildSupervisor

log = logging.getLogger(__name__)

T = TypeVar("T")
REDIS_RETRY_SECONDS = 1.0
"""Seconds between two looks whether a beat gets through again."""

EVALUATED = point("evaluated, details not published")
PUBLISHED = point("details published, outcome not laid down")
OUTCOME_STORED = point("outcome laid down, bot not told")


class SuiteDiffers(WorkerError):
    """The job names another suite, or another version of it, than this worker has."""


class AttemptRun:
    """One attempt. Use once."""

    def __init__(self, worker_context: WorkerContext, job: EvaluationJob) -> None:
        self.worker_context = worker_context
        self.job = job
        self.log = BoundedLog()
        self.board_redis = BoardRedis(worker_context.settings.redis_url, job.board)
        self.attempt_heartbeat = AttemptHeartbeat(
            self.board_redis.again().attempts, job.attempt, worker=worker_context.worker, path=job.path
        )
        self.claim = AttemptClaim(worker_context, job, self.board_redis, self._stop_waiting)
        self.phase = "claim"
        self.started = now()
        self.deadline = time.monotonic() + self._seconds()

    def evaluate(self) -> dict[str, Any]:
        """The outcome as JSON, told to the bot by then; or a note that there is none, and why."""
        try:
            if not self._patiently(self.claim.ask):
                return {"taken": self.job.attempt}
            with self.attempt_heartbeat:
                outcome = self._outcome_of_all()
            # Only now, without beats: one that came later would call the attempt running again.
            if outcome is None:
                self._patiently(self._leave)
                return {"void": self.job.attempt}
            self._patiently(lambda: self._end(outcome))
            return outcome.model_dump(mode="json")
        except AttemptStopped:
            return {"handed-back": self.job.attempt}

    def _leave(self) -> None:
        """Stop being looked for: unless another worker has the attempt, which must be missed where it is silent."""
        found = self.board_redis.attempts().read(self.job.attempt)
        if found is None or found.worker in ("", self.worker_context.worker):
            self.board_redis.attempts().drop(self.job.attempt)

    def _outcome_of_all(self) -> Outcome | None:
        """The outcome; None where the claim is void. Raises Stopped where the worker is to stop."""
        fetched = BackgroundCall(lambda: self.worker_context.hub_gateway.fetch(self.job))
        fetched.start()
        asked = time.monotonic()
        try:
            if not self.claim.is_granted():
                return None
            self.deadline += time.monotonic() - asked  # a bot, or a Hub, that is away is no fault of the model's
            self.log.say(f"claim granted: {self.job.model} @ {self.job.revision}")
            return self._carry_out(fetched)
        except AttemptStopped as stopped:
            if str(stopped) == "handed-back":
                raise
            return self._outcome(death=FailureEvidence(self.phase, stopped=str(stopped)))
        except Exception as error:  # boundary: whatever it was is diagnosed and told
            if self.worker_context.stopping():
                raise AttemptStopped("handed-back") from error  # what fails while all is being stopped says nothing
            log.warning("attempt %s failed in %s", self.job.attempt, self.phase, exc_info=True)
            self.log.say(f"{type(error).__name__}: {error}")
            return self._outcome(death=evidence_of(error, self.phase, self.log.tail()))

    # --- the work

    def _carry_out(self, fetched: BackgroundCall[Provisions]) -> Outcome:
        self._phase("download")
        self._check_suite()
        # Of the job before this one, which died while Redis was away.
        self._patiently(lambda: send_unsent_outcome(self.worker_context.slot.attempt, self.board_redis))
        self.worker_context.slot.prepare(own_user=self.worker_context.own_user)
        provisions = self._provided(fetched)
        run_canary(
            self.board_redis, self.job.suite, self.worker_context.worker, lambda: self._evaluate_canary(provisions)
        )
        self.phase = "start"
        with self._device_locked():
            plan, ending = self._evaluated(provisions)
        if not ending.finished:
            return self._outcome(death=ending.evidence(self.log.tail()))
        self._phase("publish")
        pass_by(EVALUATED)
        self._confirm_current()
        details = self.worker_context.hub_gateway.publish(self._publication(plan, provisions))
        pass_by(PUBLISHED)
        return self._outcome(details=details)

    def _provided(self, fetched: BackgroundCall[Provisions]) -> Provisions:
        try:
            return fetched.wait(self._stop)
        except DatasetUnavailable as error:
            death = evidence_of(error, self.phase, self.log.tail())
            words = scrub(failure_detail(death), self.worker_context.secrets)
            report_canary_failure(
                self.board_redis, self.job.suite, self.worker_context.worker, diagnose(death).cause, words
            )
            raise

    def _evaluate_canary(self, provisions: Provisions) -> str:
        """Run the canary in the place of the model: what it died of, empty where it lives."""
        worker_context = self.worker_context
        self.log.say("one cause has struck many models: a model that is known to work goes first")
        if worker_context.settings.canary:
            fetched = worker_context.hub_gateway.fetch(canary_job(worker_context.settings.canary, self.job))
            folder, held = fetched.model, fetched.held
        else:
            folder, held = ensure_canary_model(worker_context.settings.work_dir.resolve() / "canary"), ()
        with self._device_locked():
            plan = canary_plan(self._plan(provisions), folder)
            ending = self._child(plan)
        for snapshot in held:
            snapshot.release()
        if ending.stopped in ("cancelled", "time-limit"):
            raise AttemptStopped(ending.stopped)
        death = None if ending.finished else ending.evidence(self.log.tail())
        if death is None:
            try:
                read_spool(self._publication(plan, provisions))
            except EvaluationFailed as error:
                death = evidence_of(error, ending.phase)
        worker_context.slot.prepare(own_user=worker_context.own_user)
        return (
            f"{diagnose(death).cause} ({scrub(failure_detail(death), worker_context.secrets)})"
            if death is not None
            else ""
        )

    def _phase(self, phase: str) -> None:
        self.phase = phase
        self.log.say(phase)
        self.attempt_heartbeat.tell(Told(phase))

    def _check_suite(self) -> None:
        ours = (self.worker_context.suite.name, self.worker_context.suite.digest)
        if ours != (self.job.suite, self.job.suite_digest):
            asked = f"{self.job.suite} {self.job.suite_digest[:12]}"
            raise SuiteDiffers(f"the job asks for the suite {asked}; this worker has {ours[0]} {ours[1][:12]}")

    def _plan(self, provisions: Provisions, batch_size: int | None = None) -> RunPlan:
        left = self.deadline - time.monotonic()
        return plan_of(self.worker_context, self.job, provisions, seconds=left, batch_size=batch_size)

    @contextmanager
    def _device_locked(self) -> Iterator[None]:
        """The device is this attempt's alone; as for the claim, the time for which it is waited for is not its own."""
        if not self.worker_context.settings.take_turns:
            yield
            return
        with device_lock(
            self.worker_context.settings.work_dir.resolve() / "devices", self.worker_context.devices, self._stop_waiting
        ) as waited:
            self.deadline += waited
            yield

    def _stop_waiting(self) -> str:
        reason = self._stop()
        return "" if reason == "time-limit" else reason

    def _evaluated(self, provisions: Provisions) -> tuple[RunPlan, ChildExit]:
        """Run the child; where it ran out of memory, again with half as many questions at once, down to one."""
        plan = self._plan(provisions)
        while True:
            ending = self._child(plan)
            less = None if ending.finished else smaller_batch(ending.evidence(self.log.tail()), plan)
            if less is None:
                return plan, ending
            self.log.say(f"it ran out of memory with {plan.batch_size} questions at once, and tries {less}")
            self.worker_context.slot.prepare(own_user=self.worker_context.own_user)
            plan = self._plan(provisions, less)

    def _child(self, plan: RunPlan) -> ChildExit:
        self._phase("start")
        callbacks = ChildCallbacks(tell=self._tell, stop=self._stop, log=self.log)
        supervisor = ChildSupervisor(
            self.worker_context.zygote_client, self.worker_context.sandbox_spec(plan), plan, callbacks
        )
        ending = supervisor.run(self.worker_context.slot.attempt, deadline=self.deadline)
        self.phase = ending.phase
        if ending.peak_bytes:
            self.log.say(f"the child has ended; it held {ending.peak_bytes >> 20} MiB at most")
        if not ending.finished and self.worker_context.stopping():
            raise AttemptStopped("handed-back")
        return ending

    def _tell(self, progress: RunProgress) -> None:
        self.attempt_heartbeat.tell(Told(progress.phase, progress.done, progress.total))

    def _stop(self) -> str:
        """Why the attempt should end now; empty while it should not."""
        if self.worker_context.stopping():
            return "handed-back"
        if self.attempt_heartbeat.cancelled:
            return "cancelled"
        return "time-limit" if time.monotonic() > self.deadline else ""

    def _confirm_current(self) -> None:
        """Publish nothing while we may count as lost: wait until a beat gets through, and says that we do not.

        What is evaluated is kept for as long as that takes: the attempt's time does not run out meanwhile.
        """
        while self.attempt_heartbeat.silence() > LOST:
            if self.worker_context.stopping():
                raise AttemptStopped("handed-back")
            time.sleep(REDIS_RETRY_SECONDS)
        if self.attempt_heartbeat.cancelled:
            raise AttemptStopped("cancelled")

    def _publication(self, plan: RunPlan, provisions: Provisions) -> Publication:
        return Publication(
            repo=self.worker_context.board.repos.details(self.job.model),
            confirm_current=self._confirm_current,
            plan=plan,
            suite=self.worker_context.suite,
            request=self.job.path,
            precision=self.job.precision,
            started=self.started,
            ended=now(),
            revisions=provisions.questions.revisions,
            log=self.log.text(),
            versions=self.worker_context.versions,
            hardware=self.worker_context.hardware,
            secrets=self.worker_context.secrets,
            private=self.job.private,
        )

    # --- the end

    def _outcome(self, *, details: Details | None = None, death: FailureEvidence | None = None) -> Outcome:
        return outcome_of(
            self.worker_context, self.job, started=self.started, phase=self.phase, details=details, death=death
        )

    def _end(self, outcome: Outcome) -> None:
        store_outcome(
            self.worker_context.slot.attempt,
            outcome,
            scrub(self.log.text(), self.worker_context.secrets),
            worker=self.worker_context.worker,
        )
        pass_by(OUTCOME_STORED)
        send_unsent_outcome(self.worker_context.slot.attempt, self.board_redis)

    def _patiently(self, call: Callable[[], T]) -> T:
        """`call()`, tried until Redis lets it through or the worker is to stop."""
        pause = 0.1
        while True:
            try:
                return call()
            except redis.RedisError as error:
                log.warning("attempt %s waits for Redis: %s", self.job.attempt, error)
            if self.worker_context.stopping():
                raise AttemptStopped("handed-back")
            time.sleep(pause)
            pause = min(2.0, pause * 2)

    def _seconds(self) -> float:
        bounds = (
            self.worker_context.settings.max_seconds,
            self.worker_context.seconds,
            float(self.worker_context.board.attempt_seconds),
        )
        return min(filter(None, bounds))
