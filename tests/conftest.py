"""What every test may ask for: a real queue server of its own, and a way to wait for a condition."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

import pytest
import redis
from hypothesis import HealthCheck
from hypothesis import settings as hypothesis_settings

from steward.valkey import Valkey
from tests.support.failure_reporter import pytest_sessionstart

__all__ = ["pytest_sessionstart"]
os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
os.environ.setdefault("HF_HUB_DISABLE_XET", "1")

# A shell script that runs us in the background has Ctrl-C ignored, and what we start would inherit that.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# A busy machine is slow, and that alone is no fault. The same examples each time: what passed here passes there.
# STEWARD_EXPLORE=1 draws new ones.
hypothesis_settings.register_profile(
    "steward",
    deadline=None,
    derandomize=not os.environ.get("STEWARD_EXPLORE"),
    suppress_health_check=[HealthCheck.too_slow],
)
hypothesis_settings.load_profile("steward")

T = TypeVar("T")


ROOMS = ("leaderboard", "redis_state", "hub", "bot")
"""Whose unit tests come first: the rules are tested soonest, and what all others build upon."""
LONG = (
    *("test_spine", "test_worker_deaths", "test_kill_matrix", "test_weight_types", "test_replicas", "test_outage"),
    *("test_leaderboard_suite", "test_first_suite", "test_scores", "test_worker_attempts", "test_broken_models"),
)
"""Files that take longest: begun early, they do not keep one process busy when the others have nothing left to do."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What tells of a mistake soonest, then the long files and what else waits for real workers, then all the rest."""

    def turn(item: pytest.Item) -> tuple[int, int]:
        kind, room, *_ = item.path.relative_to(Path(__file__).parent).parts
        if kind == "unit":
            return 0, ROOMS.index(room) if room in ROOMS else len(ROOMS)
        name = item.path.stem
        return 1, LONG.index(name) if name in LONG else len(LONG) + (room != "workers")

    items.sort(key=turn)


@pytest.fixture(scope="session")
def valkey(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Valkey]:
    """A queue server for this test process."""
    with Valkey(tmp_path_factory.mktemp("valkey")) as server:
        yield server


@pytest.fixture
def valkey_url(valkey: Valkey) -> Iterator[str]:
    """The URL of an empty queue server."""
    with redis.Redis.from_url(valkey.url) as client:
        client.flushall()
    yield valkey.url


@pytest.fixture
def connection(valkey_url: str) -> Iterator[redis.Redis]:
    """A client of an empty queue server."""
    with redis.Redis.from_url(valkey_url) as client:
        yield client


def eventually(condition: Callable[[], T], *, seconds: float = 20.0, every: float = 0.02) -> T:
    """Wait until `condition()` is true and return what it returned; fail after `seconds`.

    What takes long to ask is asked seldom, whatever `every` says: those who are waited for need the processor.
    """
    asked = time.monotonic()
    deadline = asked + seconds
    while True:
        found = condition()
        if found:
            return found
        now = time.monotonic()
        if now > deadline:
            pytest.fail(f"still {found!r} after {seconds} s: {getattr(condition, '__qualname__', condition)}")
        time.sleep(max(every, min(0.5, 3 * (now - asked))))
        asked = time.monotonic()


@pytest.fixture(name="eventually")
def _eventually() -> Callable[..., object]:
    """The function `eventually`, for tests that cannot import it."""
    return eventually


@pytest.fixture(scope="session")
def project() -> Path:
    """The root of this project."""
    return Path(__file__).parent.parent
