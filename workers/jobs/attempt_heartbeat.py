"""The beats of one attempt: a thread that says it lives and how far it is, and hears whether it is cancelled.

It has a connection of its own with short timeouts, so that a Redis that hangs never holds up the supervision of the
child; it outlives any number of failed beats.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from types import TracebackType

import redis

from redis_state.attempts import BEAT, AttemptProgress, Attempts
from redis_state.clock import now

log = logging.getLogger(__name__)

CLAIM = "claim"
"""The phase of an attempt that waits for its claim."""
POLL_SECONDS = 1.0
"""Seconds between beats at most often, when the progress changes."""


class AttemptHeartbeat:
    """Beats while its block is entered."""

    def __init__(self, attempts: Callable[[], Attempts], attempt: str, *, worker: str, path: str) -> None:
        """`attempts` makes the wire's view anew; it may raise while Redis is away. `worker` has `attempt` at `path`."""
        self._connect = attempts
        self._attempt = attempt
        self._worker = worker
        self._path = path
        self._progress = AttemptProgress(CLAIM)
        self._wake = threading.Condition()
        self._ending = False
        self._changed = True
        self._cancelled = threading.Event()
        self._heard = time.monotonic()
        self._thread = threading.Thread(target=self._run, name="beats", daemon=True)

    @property
    def cancelled(self) -> bool:
        """Whether somebody asked to stop the attempt, or has it in our place."""
        return self._cancelled.is_set()

    def silence(self) -> float:
        """Seconds since a beat got through."""
        return time.monotonic() - self._heard

    def tell(self, progress: AttemptProgress) -> None:
        """Pass `progress` on with the next beat. Any phase but CLAIM says that the attempt runs."""
        with self._wake:
            if progress != self._progress:
                self._progress, self._changed = progress, True
                self._wake.notify()

    def __enter__(self) -> AttemptHeartbeat:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._wake:
            self._ending = True
            self._wake.notify()
        self._thread.join()

    def _run(self) -> None:
        attempts: Attempts | None = None
        last = float("-inf")
        while self._wait_for_turn(last):
            last = time.monotonic()
            try:
                attempts = attempts or self._connect()
                if not self._beat(attempts):
                    self._cancelled.set()
                self._heard = last
            except redis.RedisError as error:
                log.warning("attempt %s: a beat failed (%s); the evaluation goes on", self._attempt, error)
                self._changed = True  # so that the next one follows soon

    def _wait_for_turn(self, last: float) -> bool:
        with self._wake:
            while not self._ending:
                left = last + (POLL_SECONDS if self._changed else BEAT) - time.monotonic()
                if left <= 0:
                    self._changed = False
                    return True
                self._wake.wait(left)
        return False

    def _beat(self, attempts: Attempts) -> bool:
        return attempts.beat(self._attempt, self._progress, now=now(), worker=self._worker, path=self._path)
