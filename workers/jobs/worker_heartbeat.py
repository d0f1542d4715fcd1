"""What a worker says of itself: that it lives, what it has, and which attempt it is at."""

from __future__ import annotations

import logging
import time

import redis

from redis_state.attempts import BEAT
from redis_state.clock import now
from redis_state.heartbeats import WorkerCard, WorkerRegistry
from workers.jobs.outbox import BoardRedis
from workers.jobs.worker_context import WorkerContext

log = logging.getLogger(__name__)


class WorkerHeartbeat:
    """One life of a worker, as the bot and everybody who looks at the board see it.

    A Redis that is away for a while keeps nothing from its work: what could not be said is logged.
    """

    def __init__(self, worker_context: WorkerContext, board_redis: BoardRedis) -> None:
        self._worker_context = worker_context
        self._board_redis = board_redis
        self._since = now()
        self._announced = float("-inf")

    def announce(self, *, doing: str = "", at_once: bool = False) -> None:
        """Say that the worker lives, and is at the attempt `doing`; every BEAT seconds at most unless `at_once`."""
        if not at_once and time.monotonic() - self._announced < BEAT:
            return
        card = WorkerCard(
            name=self._worker_context.worker,
            tiers=self._worker_context.settings.tiers,
            devices=self._worker_context.hardware,
            versions=self._worker_context.versions,
            since=self._since,
            beat=now(),
            doing=doing,
        )
        try:
            self._workers().announce(card)
            self._announced = time.monotonic()
        except redis.RedisError as error:
            log.warning("the worker could not announce itself: %s", error)

    def leave(self) -> None:
        """Say that the worker is gone: nobody waits until it counts as silent."""
        try:
            self._workers().leave(self._worker_context.worker)
        except redis.RedisError as error:
            log.warning("the worker could not say goodbye: %s", error)

    def _workers(self) -> WorkerRegistry:
        """The workers of the board. Raises RedisError while Redis is away."""
        attempts = self._board_redis.attempts()
        return WorkerRegistry(attempts.redis, attempts.keys)
