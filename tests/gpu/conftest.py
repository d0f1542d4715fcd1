"""Fixtures of the tests that need a GPU; the kits are those of the workers' integration tests."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import redis

KITS = Path(__file__).parents[1] / "integration" / "workers"
sys.path.insert(0, str(KITS))

from workers_kit import Bot, WorkerProcess  # noqa: E402  # found by the line above


@pytest.fixture
def bot(connection: redis.Redis) -> Bot:
    """The bot's side of an empty wire."""
    return Bot(connection)


@pytest.fixture
def start_worker(valkey_url: str, tmp_path: Path) -> Iterator[Callable[..., WorkerProcess]]:
    """Starts workers whose harness are the trials of this folder; all are gone when the test ends."""
    started: list[WorkerProcess] = []

    def start(name: str = "w", **settings: Any) -> WorkerProcess:
        paths = f"{Path(__file__).parent}:{KITS}"
        worker = WorkerProcess(
            tmp_path / name, valkey_url, STEWARD_HARNESS="gpu_trials", **{"PYTHONPATH": paths, **settings}
        )
        started.append(worker)
        return worker

    yield start
    for worker in started:
        worker.end()
