"""The heartbeat of a worker: reports its devices, its versions and its current attempt."""

from __future__ import annotations

import logging
import time

import redis

from redis_state.attempts import BEAT
from redis_state.clock import now
from redis_state.heartbeats import WorkerCard, WorkerRegistry
from workers.jobs.board_link import BoardRedis
from workers.jobs.worker_context import WorkerContext

log = logging.getLogger(__name__)


class WorkerHeartbeat:
    """The entry of one worker in the registry that the bot and the board's pages read.

    While Redis is away the worker goes on; each report that fails is logged.
    """

    def __init__(self, worker_context: WorkerContext, board_redis: BoardRedis) -> None:
        self._worker_context = worker_context
        self._board_redis = board_redis
        self._since = now()
        self._announced = float("-inf")

    def announce(self, *, doing: str = "", at_once: bool = False) -> None:
        """Report that the worker lives and runs the attempt `doing`; once every BEAT seconds, unless `at_once`."""
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
            self._registry().announce(card)
            self._announced = time.monotonic()
        except redis.RedisError as error:
            log.warning("the worker could not announce itself: %s", error)

    def leave(self) -> None:
        """Remove the worker from the registry, instead of letting its entry expire."""
        try:
            self._registry().leave(self._worker_context.worker)
        except redis.RedisError as error:
            log.warning("the worker could not remove its entry: %s", error)

    def _registry(self) -> WorkerRegistry:
        """The registry of the board's workers. Raises RedisError while Redis is away."""
        attempts = self._board_redis.attempts()
        return WorkerRegistry(attempts.redis, attempts.keys)
