"""Downloads the model of the next attempt in the queue while one attempt runs.

The download runs in its own process, because a job's process ends with its attempt. It reserves nothing: if another
worker takes that attempt, the model stays in the store until the store evicts it. An attempt whose download is still
under way waits for it (`workers.models.disk_store`).
"""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import time
from collections.abc import Callable
from typing import NoReturn

from redis_state.jobs import EvaluationJob
from workers.common import kernel
from workers.jobs.provisions import HubGateway

log = logging.getLogger(__name__)

POLL_SECONDS = 1.0
"""Seconds between two reads of the queue."""
NICENESS = 5


class Prefetcher:
    """Runs at most one download ahead. `peek` returns the next job in the queue, or None."""

    def __init__(self, hub_gateway: HubGateway, peek: Callable[[], EvaluationJob | None]) -> None:
        self.hub_gateway = hub_gateway
        self.peek = peek
        self.pid: int | None = None
        self._last = ""
        self._polled_at = float("-inf")

    def poll(self) -> None:
        """Start the next job's download, unless one is under way or this job's was started. Never waits or raises.

        An exception raised here would end the worker but not its job, while a restarted worker takes the same slot.
        """
        now = time.monotonic()
        if now - self._polled_at < POLL_SECONDS or self._busy():
            return
        self._polled_at = now
        try:
            job = self.peek()
            if job is not None and job.attempt != self._last:
                self._start(job)
                self._last = job.attempt
        except Exception as error:  # noqa: BLE001  # boundary: Redis away, an invalid job, a failed fork
            log.warning("the next model is not prefetched for now: %s: %s", type(error).__name__, error)

    def _busy(self) -> bool:
        if self.pid is None:
            return False
        with contextlib.suppress(ChildProcessError):
            if os.waitpid(self.pid, os.WNOHANG)[0] == 0:
                return True
        self.pid = None
        return False

    def _start(self, job: EvaluationJob) -> None:
        parent = os.getpid()
        pid = os.fork()
        if pid == 0:
            self._fetch(job, parent)
        self.pid = pid

    def _fetch(self, job: EvaluationJob, parent: int) -> NoReturn:
        status = 1
        try:
            for number in (signal.SIGINT, signal.SIGTERM):
                signal.signal(number, signal.SIG_DFL)
            kernel.die_with_parent(parent)
            os.nice(NICENESS)
            self.hub_gateway.fetch(job)
            status = 0
        except BaseException as error:  # noqa: BLE001  # boundary: the attempt meets and reports the same error
            log.warning("attempt %s could not be prefetched: %s: %s", job.attempt, type(error).__name__, error)
        finally:
            os._exit(status)

    def stop(self) -> None:
        """Kill a download that is under way."""
        if self._busy() and self.pid is not None:
            os.kill(self.pid, signal.SIGKILL)
            os.waitpid(self.pid, 0)
            self.pid = None
