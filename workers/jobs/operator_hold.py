"""Keeps a worker from taking jobs: the bot set it aside, or its tasks differ from those of the board's results."""

from __future__ import annotations

import contextlib
import logging

import redis

from redis_state.accepted_digests import AcceptedDigests
from redis_state.set_aside import SetAsideWorkers
from workers.jobs.board_link import BoardRedis
from workers.jobs.worker_context import WorkerContext

log = logging.getLogger(__name__)

SET_ASIDE = (
    "the bot set it aside, because of results that it, or its account, published. The maintainers' thread says more."
)
TASKS_DIFFER = "its tasks differ from the board's results. See `steward tasks`."


class OperatorHold:
    """Asks Redis whether a worker must wait for an operator, and logs why when that begins."""

    def __init__(self, worker_context: WorkerContext, board_redis: BoardRedis) -> None:
        self._worker_context = worker_context
        self._board_redis = board_redis
        self._was_held = False

    def applies(self) -> bool:
        """Whether the worker must take no job. Raises RedisError.

        The bot may have set the worker aside, or its tasks differ and no operator has accepted them.
        """
        is_aside = self._set_aside().includes(self._worker_context.worker, self._worker_context.account)
        differs = self._accepted().must_wait(self._worker_context.worker)
        is_held = is_aside or differs
        if is_held and not self._was_held:
            log.warning("the worker takes no job: %s", SET_ASIDE if is_aside else TASKS_DIFFER)
        self._was_held = is_held
        return is_held

    def began_with_job(self) -> bool:
        """Whether the job that ended was refused because of this worker's tasks.

        False while Redis is away: the bot then ends the silent attempt as lost.
        """
        try:
            return self.applies()
        except redis.RedisError as error:
            log.warning("cannot ask Redis whether the worker must wait: %s", error)
            return False

    def leave(self) -> None:
        """Remove the worker, which stops, from the list of those that wait for an operator."""
        with contextlib.suppress(redis.RedisError):  # the operator's command shows only workers that are alive
            self._accepted().leave(self._worker_context.worker)

    def _accepted(self) -> AcceptedDigests:
        attempts = self._board_redis.attempts()
        return AcceptedDigests(attempts.redis, attempts.keys, self._worker_context.suite.digest)

    def _set_aside(self) -> SetAsideWorkers:
        attempts = self._board_redis.attempts()
        return SetAsideWorkers(attempts.redis, attempts.keys)
