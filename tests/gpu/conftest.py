"""Fixtures of the tests that need a GPU."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import redis

from tests.support.workers.worker_process import AttemptQueue, WorkerProcess, worker_starter


@pytest.fixture
def bot(connection: redis.Redis) -> AttemptQueue:
    """The bot's side of an empty queue."""
    return AttemptQueue(connection)


@pytest.fixture
def start_worker(valkey_url: str, tmp_path: Path) -> Iterator[Callable[..., WorkerProcess]]:
    """Starts workers with the trial harness for GPUs, and stops them when the test ends."""
    with worker_starter(tmp_path, valkey_url, STEWARD_HARNESS="gpu_trial_harness") as start:
        yield start
