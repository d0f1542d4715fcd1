"""One attempt, carried out in the process of its RQ job.

    take ─ claim ─── granted ─ provisions ─ child ─ publish ─ send the outcome, mark the request dirty
      │      │                                └ a trial: a child for each benchmark, nothing is published
      │      │                                     └ any failure: diagnose it, send it as the outcome
      │      └ void: the board no longer needs the attempt; end without an outcome
      └ another worker beats for the attempt: leave it to that worker, end without an outcome
    the worker stops: return; the worker that runs this job hands the attempt back and requeues it

The child journals each answer that it computes. The journal stays on this machine until an attempt of the same
evaluation has ended with results: an attempt that follows one that died or was handed back computes only the rest. From
time to time the answers are uploaded, too, for a worker on another machine (`workers.jobs.attempt_journals`).

The download begins before the claim is answered. While Redis is away the evaluation goes on; heartbeats are retried,
and the outcome is sent when Redis is back. Until then outcome and log are stored in the slot's folder, where a
restarted worker finds them (`workers.jobs.outbox`).
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import Any, TypeVar

from leaderboard.attempts import Details, Outcome
from leaderboard.evidence import FailureEvidence
from leaderboard.failures import fails_always
from leaderboard.result_digests import ResultDigests
from leaderboard.trials import TrialReport
from redis_state.attempts import LOST
from redis_state.clock import now
from redis_state.crashpoints import pass_by, point
from redis_state.jobs import EvaluationJob
from workers.common.diagnosis import diagnose, evidence_of, failure_detail
from workers.common.logs import BoundedLog
from workers.common.run_plan import RunPlan
from workers.common.scrub import scrub
from workers.errors import DatasetUnavailable, TasksChanged
from workers.jobs.attempt_evaluation import AttemptEvaluation
from workers.jobs.attempt_heartbeat import AttemptHeartbeat
from workers.jobs.attempt_journals import AttemptJournals
from workers.jobs.background_call import AttemptStopped, BackgroundCall
from workers.jobs.board_link import AWAY, BoardLink, BoardRedis
from workers.jobs.canary import evaluate_canary, report_canary_failure, run_canary
from workers.jobs.claim import AttemptClaim
from workers.jobs.outbox import send_unsent_outcome, store_and_send
from workers.jobs.outcomes import outcome_of, publication_of
from workers.jobs.provisions import Provisions
from workers.jobs.refused_tasks import changed_tasks, refused_tasks
from workers.jobs.trials import read_part, report_of, trial_parts
from workers.jobs.worker_context import WorkerContext
from workers.publication.spool import Publication, read_spool
from workers.sandbox.supervision import ChildExit

log = logging.getLogger(__name__)

T = TypeVar("T")
RETRY_SECONDS = 1.0
"""Seconds between two checks whether heartbeats reach Redis again."""

EVALUATED = point("evaluated, details not published")
PUBLISHED = point("details published, outcome not laid down")


class AttemptRun:
    """One attempt of one request. Use an instance once."""

    def __init__(self, worker_context: WorkerContext, job: EvaluationJob, link: BoardLink | None = None) -> None:
        """`link` replaces the one through Redis that the settings describe."""
        self.worker_context = worker_context
        self.job = job
        self.log = BoundedLog()
        self.link = link or BoardRedis(worker_context.settings.redis_url, job.board)
        self.attempt_heartbeat = AttemptHeartbeat(
            self.link.with_own_connection().attempts, job.attempt, worker=worker_context.worker, path=job.path
        )
        self.journals = AttemptJournals(
            worker_context, job, self.log, is_current=lambda: not self.attempt_heartbeat.cancelled
        )
        self.evaluation = AttemptEvaluation(worker_context, job, self.log, self.attempt_heartbeat, self.journals)
        self.claim = AttemptClaim(worker_context, job, self.link, self.evaluation.stop_waiting)
        self.started = now()

    def evaluate(self) -> dict[str, Any]:
        """Run the attempt and send its outcome to the bot. Return the outcome as JSON, or why there is none."""
        try:
            if not self._retry(self.claim.ask):
                return {"taken": self.job.attempt}
            with self.attempt_heartbeat:
                outcome = self._outcome_once_claimed()
            # The heartbeat has stopped: a later beat would set the attempt's state back to running.
            if outcome is None:
                self._retry(self._leave)
                return {"void": self.job.attempt}
            self._retry(lambda: self._end(outcome))
            if outcome.ok:
                self.journals.remove()
            return outcome.model_dump(mode="json")
        except AttemptStopped:
            self.journals.hand_over()
            return {"handed-back": self.job.attempt}
        finally:
            self.journals.release()

    def _leave(self) -> None:
        """Drop the attempt's state, unless another worker holds it: the bot must notice if that worker goes silent."""
        state = self.link.attempts().read(self.job.attempt)
        if state is None or state.worker in ("", self.worker_context.worker):
            self.link.attempts().drop(self.job.attempt)

    def _outcome_once_claimed(self) -> Outcome | None:
        """Wait for the claim and carry the attempt out; None: the claim is void. Raises AttemptStopped to hand back."""
        download = BackgroundCall(lambda: self.worker_context.hub_gateway.fetch(self.job))
        download.start()
        claim_began = time.monotonic()
        try:
            if not self.claim.is_granted():
                return None
            # Waiting for a bot or a Hub that is away does not count.
            self.evaluation.deadline += time.monotonic() - claim_began
            self.log.say(f"claim granted: {self.job.model} @ {self.job.revision}")
            return self._carry_out(download)
        except AttemptStopped as stopped:
            if str(stopped) == "handed-back":
                raise
            return self._outcome(evidence=FailureEvidence(self.evaluation.phase, stopped=str(stopped)))
        except Exception as error:  # boundary: every error is diagnosed and reported as the outcome
            if self.worker_context.stopping():
                raise AttemptStopped("handed-back") from error  # failures during a stop are no evidence
            log.warning("attempt %s failed in %s", self.job.attempt, self.evaluation.phase, exc_info=True)
            self.log.say(f"{type(error).__name__}: {error}")
            return self._outcome(evidence=evidence_of(error, self.evaluation.phase, self.log.tail()))

    # --- the work

    def _carry_out(self, download: BackgroundCall[Provisions]) -> Outcome:
        self.evaluation.enter_phase("download")
        self.worker_context.check_suite(self.job)
        # An earlier job may have left an outcome: it died while Redis was away.
        self._retry(lambda: send_unsent_outcome(self.worker_context.slot.attempt, self.link))
        self.evaluation.accepted = self._retry(lambda: self.link.accepted_digests(self.job.suite_digest).read())
        if not self.evaluation.accepted.permitted:
            log.warning("Redis does not let workers read what is accepted: give it the users of deploy/redis/users.acl")
        self.worker_context.slot.prepare(own_user=self.worker_context.own_user)
        provisions = self._wait_for_provisions(download)
        run_canary(
            self.link,
            self.job.suite,
            self.worker_context.worker,
            lambda: evaluate_canary(self.evaluation, provisions, lambda plan: self._publication(plan, provisions)),
        )
        self.evaluation.phase = "start"
        with self.evaluation.device_locked():
            if self.job.questions:
                return self._carry_out_trial(provisions)
            plan, child_exit = self.evaluation.run_model(provisions)
        if child_exit.error is not None and child_exit.error.type.endswith(f".{TasksChanged.__name__}"):
            self._wait_for_operator(changed_tasks(plan, self.worker_context.suite))
        if not child_exit.finished:
            return self._failure(child_exit)
        self.evaluation.enter_phase("publish")
        self._check_tasks(plan, provisions)
        pass_by(EVALUATED)
        self._confirm_current()
        details = self.worker_context.hub_gateway.publish(self._publication(plan, provisions))
        pass_by(PUBLISHED)
        self.journals.remove_shared()
        return self._outcome(details=details)

    def _failure(self, child_exit: ChildExit) -> Outcome:
        """The outcome of a child that failed; removes shared answers if no later attempt can succeed."""
        outcome = self._outcome(evidence=child_exit.evidence(self.log.tail()))
        if outcome.failure is not None and fails_always(outcome.failure.cause):
            self.journals.give_up()
        return outcome

    def _carry_out_trial(self, provisions: Provisions) -> Outcome:
        """Ask a few questions of each benchmark, and report times and answers. Publishes nothing."""
        results = []
        for part in trial_parts(self.worker_context.suite, self.job.questions):
            self.log.say(f"trial of {part.name}")
            self.evaluation.trial_part = part
            plan, child_exit = self.evaluation.run_model(provisions)
            if not child_exit.finished:
                return self._outcome(evidence=child_exit.evidence(self.log.tail()))
            results.append(read_part(part, plan.spool, self.worker_context.suite))
            self.worker_context.slot.prepare(own_user=self.worker_context.own_user)
        return self._outcome(trial=report_of(results))

    def _wait_for_provisions(self, download: BackgroundCall[Provisions]) -> Provisions:
        """Wait for the download. Missing questions also count as a failure of the canary, if this worker runs it."""
        try:
            return download.wait(self.evaluation.stop_reason)
        except DatasetUnavailable as error:
            evidence = evidence_of(error, self.evaluation.phase, self.log.tail())
            detail = scrub(failure_detail(evidence), self.worker_context.secrets)
            report_canary_failure(
                self.link, self.job.suite, self.worker_context.worker, diagnose(evidence).cause, detail
            )
            raise

    def _check_tasks(self, plan: RunPlan, provisions: Provisions) -> None:
        """Compare what an evaluator other than lm-eval asked with the board's results: lm-eval's child did so itself.

        Raises EvaluationFailed, and AttemptStopped where the tasks differ.
        """
        if plan.evaluator is None or not plan.accepted:
            return
        digests = read_spool(self._publication(plan, provisions)).block.digests
        if digests is not None and digests.fingerprint not in plan.accepted:
            self._wait_for_operator(digests)

    def _wait_for_operator(self, digests: ResultDigests) -> None:
        """Report how the tasks differ from those of the board's results, and hand the attempt back.

        The worker then takes no job until an operator accepts its tasks. Raises AttemptStopped.
        """
        refused = refused_tasks(digests, self.worker_context, self.evaluation.accepted.reference)
        for difference in refused.differences:
            self.log.say(difference)
            log.warning("%s", difference)
        self._retry(lambda: self.link.accepted_digests(self.job.suite_digest).refuse(refused))
        raise AttemptStopped("handed-back")

    def _confirm_current(self) -> None:
        """Wait until a heartbeat confirms that the attempt is still this worker's: a lost attempt publishes nothing.

        The results stay in the spool meanwhile; the attempt's time limit does not apply to this wait. Raises
        AttemptStopped, and CallRefused if the bot refuses heartbeats for good.
        """
        while self.attempt_heartbeat.silence() > LOST:
            if self.attempt_heartbeat.refusal is not None:
                raise self.attempt_heartbeat.refusal
            self._wait(RETRY_SECONDS)
        if self.attempt_heartbeat.cancelled:
            raise AttemptStopped("cancelled")

    def _wait(self, seconds: float) -> None:
        """Wait. Raises AttemptStopped as soon as the worker stops or the attempt is cancelled."""
        end = time.monotonic() + seconds
        while (seconds_left := end - time.monotonic()) > 0:
            if self.worker_context.stopping():
                raise AttemptStopped("handed-back")
            if self.attempt_heartbeat.cancelled:
                raise AttemptStopped("cancelled")
            time.sleep(min(seconds_left, RETRY_SECONDS))

    def _publication(self, plan: RunPlan, provisions: Provisions) -> Publication:
        return publication_of(
            self.worker_context,
            self.job,
            plan,
            provisions.questions.revisions,
            started=self.started,
            replayed=self.evaluation.replayed,
            log=self.log.text(),
            confirm_current=self._confirm_current,
            wait=self._wait,
        )

    # --- the end

    def _outcome(
        self,
        *,
        details: Details | None = None,
        trial: TrialReport | None = None,
        evidence: FailureEvidence | None = None,
    ) -> Outcome:
        return outcome_of(
            self.worker_context,
            self.job,
            started=self.started,
            phase=self.evaluation.phase,
            replayed=self.evaluation.replayed,
            details=details,
            trial=trial,
            evidence=evidence,
        )

    def _end(self, outcome: Outcome) -> None:
        """Store outcome and log in the slot's folder, then send them to the bot."""
        text = scrub(self.log.text(), self.worker_context.secrets)
        store_and_send(self.worker_context.slot.attempt, self.link, outcome, text, worker=self.worker_context.worker)

    def _retry(self, call: Callable[[], T]) -> T:
        """Return `call()`, retried until Redis answers. Raises AttemptStopped once the worker stops."""
        pause = 0.1
        while True:
            try:
                return call()
            except AWAY as error:
                log.warning("attempt %s waits for Redis: %s", self.job.attempt, error)
            if self.worker_context.stopping():
                raise AttemptStopped("handed-back")
            time.sleep(pause)
            pause = min(2.0, pause * 2)
