"""Starts the zygotes of a worker, one after the other, and kills processes that jobs left running."""

from __future__ import annotations

import contextlib
import logging
import os
import signal
from collections.abc import Callable

from workers.jobs.prefetcher import Prefetcher
from workers.jobs.worker_context import WorkerContext
from workers.sandbox.memory_use import children
from workers.sandbox.zygote_client import ZygoteBroken

log = logging.getLogger(__name__)

MAX_FAILED_ZYGOTES = 3
"""Zygotes that may fail to start, one after the other, before the worker gives up."""


class ZygoteStarter:
    """Starts the zygote from which the children of a worker's jobs are forked."""

    def __init__(self, worker_context: WorkerContext, prefetcher: Prefetcher) -> None:
        self._worker_context = worker_context
        self._prefetcher = prefetcher

    def ensure(self) -> None:
        """Start a zygote if none runs, in an empty home.

        A job that is killed while it prepares the slot leaves no home, or one that its child's user cannot enter: the
        new zygote would find that no isolation mode works, or choose a weaker one.
        """
        zygote_client = self._worker_context.zygote_client
        if zygote_client.alive():
            return
        zygote_client.stop()
        self.kill_leftovers()
        self._worker_context.slot.prepare_home()
        zygote_client.start()

    def wait_until_ready(self, stop: Callable[[], bool]) -> None:
        """Return once a zygote can fork or `stop()` is true. Raises ZygoteBroken after MAX_FAILED_ZYGOTES failures."""
        zygote_client = self._worker_context.zygote_client
        for tries_left in reversed(range(MAX_FAILED_ZYGOTES)):
            self.ensure()
            try:
                zygote_client.wait_until_ready(stop=stop)
                return
            except ZygoteBroken as error:
                log.error("%s", error)
                zygote_client.stop()
                if not tries_left:
                    raise

    def kill_leftovers(self) -> None:
        """Kill processes that the job left running, such as a download, and then those that these left.

        The worker inherits them.
        """
        while left := set(children(os.getpid())) - {self._worker_context.zygote_client.pid, self._prefetcher.pid}:
            for pid in left:
                with contextlib.suppress(ProcessLookupError, ChildProcessError):
                    os.kill(pid, signal.SIGKILL)
                    os.waitpid(pid, 0)
