"""Prefetching: while one attempt runs, the next one in the queue is downloaded already.

A process of its own, for a job's process ends with its attempt. It takes nothing from the queue and promises nothing:
another worker may take that attempt, and its model then stays in the store like any other, until room is needed. Where
the download is still under way when its turn comes, the attempt waits for it (`workers.models.disk_store`).
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
"""Seconds between two looks into the queue."""
NICENESS = 5


class Prefetcher:
    """At most one download ahead. `peek` names the attempt that is next, None where there is none."""

    def __init__(self, hub_gateway: HubGateway, peek: Callable[[], EvaluationJob | None]) -> None:
        self.hub_gateway = hub_gateway
        self.peek = peek
        self.pid: int | None = None
        self._last = ""
        self._looked = float("-inf")

    def look(self) -> None:
        """Start the download of what is next, unless one is under way, or was made already. Never waits nor raises.

        An error that got out of here would end this life of the worker, but not its job: the next took its slot.
        """
        now = time.monotonic()
        if now - self._looked < POLL_SECONDS or self._busy():
            return
        self._looked = now
        try:
            job = self.peek()
            if job is not None and job.attempt != self._last:
                self._start(job)
                self._last = job.attempt
        except Exception as error:  # noqa: BLE001  # boundary: Redis is away, that is no job, no process is to be had
            log.warning("nothing is fetched ahead for now: %s: %s", type(error).__name__, error)

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
        except BaseException as error:  # noqa: BLE001  # boundary: the attempt itself will say what is wrong
            log.warning("attempt %s could not be fetched ahead: %s: %s", job.attempt, type(error).__name__, error)
        finally:
            os._exit(status)

    def stop(self) -> None:
        """End a download that is under way."""
        if self._busy() and self.pid is not None:
            os.kill(self.pid, signal.SIGKILL)
            os.waitpid(self.pid, 0)
            self.pid = None
