"""Fixtures of all tests (a queue server, a probe), and pytest hooks that choose and order the tests."""

from __future__ import annotations

import gc
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import redis
from hypothesis import HealthCheck
from hypothesis import settings as hypothesis_settings
from xdist.scheduler import LoadFileScheduling

from bot.probe import Probe
from steward.valkey import Valkey
from tests.support.failure_reporter import pytest_sessionstart
from tests.support.probe import shared_probe
from tests.support.sizes import WHOLE, WHOLE_FILES, sampled

__all__ = ["pytest_sessionstart"]
os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
os.environ.setdefault("HF_HUB_DISABLE_XET", "1")
# Test files run in parallel: two threads of each process would wait for each other in loops that occupy the processors.
os.environ.setdefault("OMP_NUM_THREADS", "1")

# Collection creates a million objects that live until the end: garbage collection need not scan them.
gc.disable()

# A process that a shell script starts in the background ignores Ctrl-C, and programs that tests start inherit that.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# Without deadlines, because a busy machine is slow. Every run on every machine has the same examples.
# STEWARD_EXPLORE=1 draws new examples, and STEWARD_WHOLE_MATRIX=1 (`make matrices`) draws twice as many.
hypothesis_settings.register_profile(
    "steward",
    deadline=None,
    max_examples=100 if WHOLE else 50,
    derandomize=not os.environ.get("STEWARD_EXPLORE"),
    suppress_health_check=[HealthCheck.too_slow],
)
hypothesis_settings.load_profile("steward")


FIRST_PACKAGES = ("leaderboard", "redis_state", "hub", "bot")
"""Packages whose unit tests run first: the rules, and the packages that all others import."""
TOGETHER = (
    ("test_leaderboard_suite", "test_first_suite", "test_scores"),
    ("test_weight_types", "test_broken_models", "test_prefetch"),
    ("test_site_browser", "test_accessibility", "test_leaderboard_browser", "test_details_browser",
     "test_models_browser"),
    ("test_space_browser", "test_forms_in_the_browser", "test_maintaining_in_the_browser",
     "test_talking_in_the_browser", "test_localhub_pages"),
    ("test_placement", "test_padding", "test_tiny_models", "test_shared_prefix_models", "test_shared_prefix_harness",
     "test_shared_prefix_fallbacks", "test_templates", "test_digests"),
)  # fmt: skip
"""Groups of test files that share something slow to start: one process of pytest-xdist runs all files of a group."""
LONG = (
    *TOGETHER[0], "test_worker_deaths", "test_spine", "test_kill_matrix", *TOGETHER[1], "test_resume",
    *TOGETHER[2], "test_contents_table", *TOGETHER[3], "test_bot_resubmissions",
    "test_worker_attempts",
    "test_bot_state_machine", "test_bot_serve", "test_commands_table", "test_web_schema",
    "test_moderation_saga", "test_localhub_fuzz", "test_flags_board", "test_pulls_races", "test_admission_path",
    "test_commands_hostile", "test_former_paths", "test_steward_up",
)  # fmt: skip
"""The slowest test files. They start early, so that no process is still busy with one after the others have finished.
Files that import the evaluation harness alternate with files that mostly wait."""


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Run the unit tests first, then the slowest files, then the other tests of workers, then all other tests.

    Unless WHOLE_FILES, `-k` or a single file is given, leave out the tests that `one_in` leaves out of `make test`.
    """
    if not WHOLE_FILES and not config.getoption("keyword") and len({item.path for item in items}) > 1:
        left = set(items)
        items[:] = sampled(items)
        config.hook.pytest_deselected(items=list(left.difference(items)))

    def turn(item: pytest.Item) -> tuple[int, int]:
        kind, room, *_ = item.path.relative_to(Path(__file__).parent).parts
        if kind == "unit":
            return 0, FIRST_PACKAGES.index(room) if room in FIRST_PACKAGES else len(FIRST_PACKAGES)
        name = item.path.stem
        return 1, LONG.index(name) if name in LONG else len(LONG) + (room != "workers")

    items.sort(key=turn)


def pytest_collection_finish() -> None:
    """Turn garbage collection on again: it runs rarely, and ignores the objects that collection created."""
    gc.freeze()
    gc.set_threshold(100_000, 50, 100)
    gc.enable()


class FilesTogether(LoadFileScheduling):
    """The scheduler of `--dist loadfile`, which runs not only a file but each group in `TOGETHER` in one process."""

    def _split_scope(self, nodeid: str) -> str:
        name = Path(nodeid.partition("::")[0]).stem
        return next((files[0] for files in TOGETHER if name in files), super()._split_scope(nodeid))


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> FilesTogether | None:
    """Return the scheduler for `--dist loadfile`; None: the scheduler of pytest-xdist."""
    return FilesTogether(config, log) if config.getvalue("dist") == "loadfile" else None


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
