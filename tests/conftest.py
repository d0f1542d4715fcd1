"""Fixtures of all tests (a queue server, a probe), and what each test process sets before the first test."""

from __future__ import annotations

import gc
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis
from hypothesis import HealthCheck
from hypothesis import settings as hypothesis_settings

from bot.probe import Probe
from steward.testing.probe import shared_probe
from steward.valkey import Valkey
from tests.support.failure_reporter import pytest_sessionstart

__all__ = ["pytest_sessionstart"]
os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
os.environ.setdefault("HF_HUB_DISABLE_XET", "1")
# Tests run in parallel: two threads of each process would wait for each other in loops that occupy the processors.
os.environ.setdefault("OMP_NUM_THREADS", "1")

# Collection creates a million objects that live until the end: garbage collection need not scan them.
gc.disable()

# A process that a shell script starts in the background ignores Ctrl-C, and programs that tests start inherit that.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# Without deadlines, because a busy machine is slow. Every run on every machine has the same examples, unless
# STEWARD_EXPLORE=1 (`make chaos`) draws new ones.
hypothesis_settings.register_profile(
    "steward",
    deadline=None,
    max_examples=50,
    derandomize=not os.environ.get("STEWARD_EXPLORE"),
    suppress_health_check=[HealthCheck.too_slow],
)
hypothesis_settings.load_profile("steward")


def pytest_collection_finish() -> None:
    """Turn garbage collection on again: it runs rarely, and ignores the objects that collection created."""
    gc.freeze()
    gc.set_threshold(100_000, 50, 100)
    gc.enable()


@pytest.fixture(autouse=True)
def environment() -> Iterator[None]:
    """Restore the environment variables after each test: programs that later tests start inherit them."""
    before = dict(os.environ)
    yield
    for name in os.environ.keys() - before.keys():
        del os.environ[name]
    os.environ.update(before)


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


@pytest.fixture(scope="session")
def probe() -> Probe:
    """The probe of this test process, which opens untrusted files in a subprocess."""
    return shared_probe()


@pytest.fixture(scope="session")
def project() -> Path:
    """The root of this project."""
    return Path(__file__).parent.parent
