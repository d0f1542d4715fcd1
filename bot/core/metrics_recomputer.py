"""Computes the metrics of samples again on a thread of its own: it takes minutes, and no sync waits for it.

The bot does not import the harness. The command that starts a sync process passes a function that lets another process
compute, if the operator wants it.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path


class CannotRecompute(Exception):
    """The bot cannot compute the metrics of these samples again; the message says why."""


@dataclass(frozen=True)
class RecomputedSamples:
    """Metrics that were computed again. `scored` is the digest of the scoring code, "" if the evaluation has none;
    `timed_out` names the samples, as `task:question`, whose metric ran out of time."""

    scored: str
    timed_out: Sequence[str]


Recompute = Callable[[Path, Path, Path], RecomputedSamples]
"""Takes a results file, a folder with `{task}.parquet` and an empty folder, and writes `{task}.jsonl` there with the
metrics of each sample. Raises CannotRecompute."""


class MetricsRecomputer:
    """Computes the metrics of published samples by `recompute`, one after the other, on a thread of its own."""

    def __init__(self, recompute: Recompute) -> None:
        self.recompute = recompute
        self._executor = ThreadPoolExecutor(1, "recompute")
        self._running = set[str]()
        self._lock = threading.Lock()

    def start(self, published: str, work: Callable[[], None]) -> None:
        """Queue `work` for the publication `published`, unless this process has queued it already."""
        with self._lock:
            if published in self._running:
                return
            self._running.add(published)
        self._executor.submit(self._do, published, work)

    def _do(self, published: str, work: Callable[[], None]) -> None:
        try:
            work()
        finally:
            with self._lock:
                self._running.discard(published)

    def close(self) -> None:
        """Wait for the work that runs; do none that waits."""
        self._executor.shutdown(cancel_futures=True)
