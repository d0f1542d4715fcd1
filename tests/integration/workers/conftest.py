"""Fixtures: a bot that only answers claims, and workers that leave nothing running."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import redis
from workers_kit import Bot, WorkerProcess


@pytest.fixture
def bot(connection: redis.Redis) -> Bot:
    """The bot's side of an empty wire."""
    return Bot(connection)


@pytest.fixture
def start_worker(valkey_url: str, tmp_path: Path) -> Iterator[Callable[..., WorkerProcess]]:
    """Starts workers; all of them are gone when the test ends, or it fails."""
    started: list[WorkerProcess] = []

    def start(name: str = "w", **options: Any) -> WorkerProcess:
        started.append(WorkerProcess(tmp_path / name, valkey_url, **options))
        return started[-1]

    yield start
    for worker in started:
        worker.end()
