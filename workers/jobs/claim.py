"""A worker's claim of an attempt: asked for, and waited for as long as the bot says nothing."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

import redis

from redis_state.clock import now
from redis_state.crashpoints import pass_by, point
from redis_state.jobs import EvaluationJob
from workers.jobs.background_call import AttemptStopped
from workers.jobs.outbox import BoardRedis
from workers.jobs.worker_context import WorkerContext

log = logging.getLogger(__name__)

WAIT_SLICE_SECONDS = 1.0
"""Seconds for which an answer is waited for without looking whether the attempt should end."""

TAKEN = point("job taken, claim not asked for")
ASKED = point("claim asked for, answer not heard")
GRANTED = point("claim granted, nothing evaluated")


class AttemptClaim:
    """The claim of one attempt. `stop` gives a reason to end the attempt, "" while there is none."""

    def __init__(
        self, worker_context: WorkerContext, job: EvaluationJob, board_redis: BoardRedis, stop: Callable[[], str]
    ) -> None:
        self._worker_context = worker_context
        self._job = job
        self._board_redis = board_redis
        self._stop = stop

    def ask(self) -> bool:
        """Ask for it; False where another worker beats for this attempt. Raises RedisError while Redis is away."""
        pass_by(TAKEN)
        if not self._board_redis.attempts().take(
            self._job.attempt, self._job.path, self._worker_context.worker, now=now()
        ):
            log.warning("attempt %s is another worker's", self._job.attempt)
            return False
        self._board_redis.mark(self._job.path)
        pass_by(ASKED)
        return True

    def is_granted(self) -> bool:
        """Whether the bot grants it; asks again where it says nothing for long. Raises Stopped."""
        asked = time.monotonic()
        while True:
            if reason := self._stop():
                raise AttemptStopped(reason)
            try:
                answer = self._board_redis.attempts().wait_for_claim(
                    self._job.attempt, seconds=WAIT_SLICE_SECONDS, worker=self._worker_context.worker
                )
                if answer is None and time.monotonic() - asked > self._worker_context.settings.claim_patience:
                    asked = time.monotonic()
                    answer = self._ask_again()
            except redis.RedisError as error:
                log.warning("attempt %s waits for its claim: %s", self._job.attempt, error)
                time.sleep(WAIT_SLICE_SECONDS)
                continue
            if answer:
                pass_by(GRANTED)
            if answer is not None:
                return answer

    def _ask_again(self) -> bool | None:
        """The answer, where it was given and got lost on its way to us; else the bot is called once more."""
        found = self._board_redis.attempts().read(self._job.attempt)
        if found is not None and found.state == "void":
            return False
        if found is None or found.state in ("queued", "handed-back") or found.worker != self._worker_context.worker:
            # Redis was lost, or whoever put it into the queue, or took it, knew nothing of us: we were silent, for one.
            return None if self.ask() else False
        if found.state == "claimed":
            return True
        self._board_redis.mark(self._job.path)
        return None
