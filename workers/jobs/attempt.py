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

    def __init__(self, bench: WorkerContext, job: EvaluationJob) -> None:
        self.bench = bench
        self.job = job
        self.log = BoundedLog()
        self.wire = BoardRedis(bench.settings.redis_url, job.board)
        self.beats = AttemptHeartbeat(self.wire.again().attempts, job.attempt, worker=bench.worker, path=job.path)
        self.claim = AttemptClaim(bench, job, self.wire, self._stop_waiting)
        self.phase = "claim"
        self.started = now()
        self.deadline = time.monotonic() + self._seconds()

    def evaluate(self) -> dict[str, Any]:
        """The outcome as JSON, told to the bot by then; or a note that there is none, and why."""
        try:
            if not self._patiently(self.claim.ask):
                return {"taken": self.job.attempt}
            with self.beats:
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
        found = self.wire.attempts().read(self.job.attempt)
        if found is None or found.worker in ("", self.bench.worker):
            self.wire.attempts().drop(self.job.attempt)

    def _outcome_of_all(self) -> Outcome | None:
        """The outcome; None where the claim is void. Raises Stopped where the worker is to stop."""
        fetched = BackgroundCall(lambda: self.bench.supply.fetch(self.job))
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
            if self.bench.stopping():
                raise AttemptStopped("handed-back") from error  # what fails while all is being stopped says nothing
            log.warning("attempt %s failed in %s", self.job.attempt, self.phase, exc_info=True)
            self.log.say(f"{type(error).__name__}: {error}")
            return self._outcome(death=evidence_of(error, self.phase, self.log.tail()))

    # --- the work

    def _carry_out(self, fetched: BackgroundCall[Provisions]) -> Outcome:
        self._phase("download")
        self._check_suite()
        # Of the job before this one, which died while Redis was away.
        self._patiently(lambda: send_unsent_outcome(self.bench.slot.attempt, self.wire))
        self.bench.slot.prepare(own_user=self.bench.own_user)
        provisions = self._provided(fetched)
        run_canary(self.wire, self.job.suite, self.bench.worker, lambda: self._fly(provisions))
        self.phase = "start"
        with self._turn():
            plan, ending = self._evaluated(provisions)
        if not ending.finished:
            return self._outcome(death=ending.evidence(self.log.tail()))
        self._phase("publish")
        pass_by(EVALUATED)
        self._be_sure()
        details = self.bench.supply.publish(self._publication(plan, provisions))
        pass_by(PUBLISHED)
        return self._outcome(details=details)

    def _provided(self, fetched: BackgroundCall[Provisions]) -> Provisions:
        try:
            return fetched.wait(self._stop)
        except DatasetUnavailable as error:
            death = evidence_of(error, self.phase, self.log.tail())
            words = scrub(failure_detail(death), self.bench.secrets)
            report_canary_failure(self.wire, self.job.suite, self.bench.worker, diagnose(death).cause, words)
            raise

    def _fly(self, provisions: Provisions) -> str:
        """Run the canary in the place of the model: what it died of, empty where it lives."""
        bench = self.bench
        self.log.say("one cause has struck many models: a model that is known to work goes first")
        if bench.settings.canary:
            fetched = bench.supply.fetch(canary_job(bench.settings.canary, self.job))
            folder, held = fetched.model, fetched.held
        else:
            folder, held = ensure_canary_model(bench.settings.work_dir.resolve() / "canary"), ()
        with self._turn():
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
        bench.slot.prepare(own_user=bench.own_user)
        return f"{diagnose(death).cause} ({scrub(failure_detail(death), bench.secrets)})" if death is not None else ""

    def _phase(self, phase: str) -> None:
        self.phase = phase
        self.log.say(phase)
        self.beats.tell(Told(phase))

    def _check_suite(self) -> None:
        ours = (self.bench.suite.name, self.bench.suite.digest)
        if ours != (self.job.suite, self.job.suite_digest):
            asked = f"{self.job.suite} {self.job.suite_digest[:12]}"
            raise SuiteDiffers(f"the job asks for the suite {asked}; this worker has {ours[0]} {ours[1][:12]}")

    def _plan(self, provisions: Provisions, batch_size: int | None = None) -> RunPlan:
        left = self.deadline - time.monotonic()
        return plan_of(self.bench, self.job, provisions, seconds=left, batch_size=batch_size)

    @contextmanager
    def _turn(self) -> Iterator[None]:
        """The device is this attempt's alone; as for the claim, the time for which it is waited for is not its own."""
        if not self.bench.settings.take_turns:
            yield
            return
        with device_lock(
            self.bench.settings.work_dir.resolve() / "devices", self.bench.devices, self._stop_waiting
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
            self.bench.slot.prepare(own_user=self.bench.own_user)
            plan = self._plan(provisions, less)

    def _child(self, plan: RunPlan) -> ChildExit:
        self._phase("start")
        around = ChildCallbacks(tell=self._tell, stop=self._stop, log=self.log)
        watch = ChildSupervisor(self.bench.nursery, self.bench.box(plan), plan, around)
        ending = watch.run(self.bench.slot.attempt, deadline=self.deadline)
        self.phase = ending.phase
        if ending.peak_bytes:
            self.log.say(f"the child has ended; it held {ending.peak_bytes >> 20} MiB at most")
        if not ending.finished and self.bench.stopping():
            raise AttemptStopped("handed-back")
        return ending

    def _tell(self, progress: RunProgress) -> None:
        self.beats.tell(Told(progress.phase, progress.done, progress.total))

    def _stop(self) -> str:
        """Why the attempt should end now; empty while it should not."""
        if self.bench.stopping():
            return "handed-back"
        if self.beats.cancelled:
            return "cancelled"
        return "time-limit" if time.monotonic() > self.deadline else ""

    def _be_sure(self) -> None:
        """Publish nothing while we may count as lost: wait until a beat gets through, and says that we do not.

        What is evaluated is kept for as long as that takes: the attempt's time does not run out meanwhile.
        """
        while self.beats.silence() > LOST:
            if self.bench.stopping():
                raise AttemptStopped("handed-back")
            time.sleep(REDIS_RETRY_SECONDS)
        if self.beats.cancelled:
            raise AttemptStopped("cancelled")

    def _publication(self, plan: RunPlan, provisions: Provisions) -> Publication:
        return Publication(
            repo=self.bench.board.repos.details(self.job.model),
            be_sure=self._be_sure,
            plan=plan,
            suite=self.bench.suite,
            request=self.job.path,
            precision=self.job.precision,
            started=self.started,
            ended=now(),
            revisions=provisions.questions.revisions,
            log=self.log.text(),
            versions=self.bench.versions,
            hardware=self.bench.hardware,
            secrets=self.bench.secrets,
            private=self.job.private,
        )

    # --- the end

    def _outcome(self, *, details: Details | None = None, death: FailureEvidence | None = None) -> Outcome:
        return outcome_of(self.bench, self.job, started=self.started, phase=self.phase, details=details, death=death)

    def _end(self, outcome: Outcome) -> None:
        store_outcome(
            self.bench.slot.attempt, outcome, scrub(self.log.text(), self.bench.secrets), worker=self.bench.worker
        )
        pass_by(OUTCOME_STORED)
        send_unsent_outcome(self.bench.slot.attempt, self.wire)

    def _patiently(self, call: Callable[[], T]) -> T:
        """`call()`, tried until Redis lets it through or the worker is to stop."""
        pause = 0.1
        while True:
            try:
                return call()
            except redis.RedisError as error:
                log.warning("attempt %s waits for Redis: %s", self.job.attempt, error)
            if self.bench.stopping():
                raise AttemptStopped("handed-back")
            time.sleep(pause)
            pause = min(2.0, pause * 2)

    def _seconds(self) -> float:
        bounds = (self.bench.settings.max_seconds, self.bench.seconds, float(self.bench.board.attempt_seconds))
        return min(filter(None, bounds))
