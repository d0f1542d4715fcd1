"""A worker's claim of an attempt: the worker asks for it, and waits until the bot grants or voids it."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

from redis_state.clock import now
from redis_state.crashpoints import pass_by, point
from redis_state.jobs import EvaluationJob
from workers.jobs.background_call import AttemptStopped
from workers.jobs.board_link import AWAY, BoardLink
from workers.jobs.worker_context import WorkerContext

log = logging.getLogger(__name__)

WAIT_SLICE_SECONDS = 1.0
"""Seconds of one wait for an answer, after which the worker checks whether the attempt should end."""

TAKEN = point("job taken, claim not asked for")
ASKED = point("claim asked for, answer not heard")
GRANTED = point("claim granted, nothing evaluated")


class AttemptClaim:
    """The claim of one attempt. `stop` returns a reason to end the attempt, or ""."""

    def __init__(
        self, worker_context: WorkerContext, job: EvaluationJob, link: BoardLink, stop: Callable[[], str]
    ) -> None:
        self._worker_context = worker_context
        self._job = job
        self._link = link
        self._stop = stop

    def ask(self) -> bool:
        """Ask for the claim; False if another worker beats for this attempt. Raises one of AWAY without an answer."""
        pass_by(TAKEN)
        if not self._link.attempts().take(self._job.attempt, self._job.path, self._worker_context.worker, now=now()):
            log.warning("another worker runs attempt %s", self._job.attempt)
            return False
        self._link.mark(self._job.path)
        pass_by(ASKED)
        return True

    def is_granted(self) -> bool:
        """Wait for the bot's answer, and ask again after a long silence. Raises AttemptStopped."""
        asked_at = time.monotonic()
        while True:
            if reason := self._stop():
                raise AttemptStopped(reason)
            try:
                answer = self._link.attempts().wait_for_claim(
                    self._job.attempt, seconds=WAIT_SLICE_SECONDS, worker=self._worker_context.worker
                )
                if answer is None and time.monotonic() - asked_at > self._worker_context.settings.claim_patience:
                    asked_at = time.monotonic()
                    answer = self._ask_again()
            except AWAY as error:
                log.warning("attempt %s waits for its claim: %s", self._job.attempt, error)
                time.sleep(WAIT_SLICE_SECONDS)
                continue
            if answer:
                pass_by(GRANTED)
            if answer is not None:
                return answer

    def _ask_again(self) -> bool | None:
        """Read an answer that did not reach this worker; if there is none, mark the request for the bot again."""
        state = self._link.attempts().read(self._job.attempt)
        if state is not None and state.state == "void":
            return False
        if state is None or state.state in ("queued", "handed-back") or state.worker != self._worker_context.worker:
            # Redis lost the attempt, the bot queued it again, or another worker took it while this one was silent.
            return None if self.ask() else False
        if state.state == "claimed":
            return True
        self._link.mark(self._job.path)
        return None
