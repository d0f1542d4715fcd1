"""Fixtures of the tests that need a GPU; the kits are those of the workers' integration tests."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import redis

KITS = Path(__file__).parents[1] / "integration" / "workers"
sys.path.insert(0, str(KITS))

from workers_kit import Bot, WorkerProcess, starting  # noqa: E402  # found by the line above


@pytest.fixture
def bot(connection: redis.Redis) -> Bot:
    """The bot's side of an empty wire."""
    return Bot(connection)


@pytest.fixture
def start_worker(valkey_url: str, tmp_path: Path) -> Iterator[Callable[..., WorkerProcess]]:
    """Starts workers whose harness are the trials of this folder; all are gone when the test ends."""
    paths = f"{Path(__file__).parent}:{KITS}"
    with starting(tmp_path, valkey_url, STEWARD_HARNESS="gpu_trials", PYTHONPATH=paths) as start:
        yield start
