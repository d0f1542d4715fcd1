"""Fixtures: the bot's side of the queue, and workers that end with the test."""

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
    """Starts workers, and ends them after the test; fails if a process survives."""
    with worker_starter(tmp_path, valkey_url) as start:
        yield start
