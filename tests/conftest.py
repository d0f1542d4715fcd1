"""What every test may ask for: a real queue server and a probe of its test process."""

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

# Collection makes a million objects, which live to the end: no search for garbage need look at them.
gc.disable()

# A shell script that runs us in the background has Ctrl-C ignored, and what we start would inherit that.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# A busy machine is slow, and that alone is no fault. The same examples each time: what passed here passes there.
# STEWARD_EXPLORE=1 draws new ones, and STEWARD_WHOLE_MATRIX=1 (`make matrices`) twice as many.
hypothesis_settings.register_profile(
    "steward",
    deadline=None,
    max_examples=100 if WHOLE else 50,
    derandomize=not os.environ.get("STEWARD_EXPLORE"),
    suppress_health_check=[HealthCheck.too_slow],
)
hypothesis_settings.load_profile("steward")


FIRST_PACKAGES = ("leaderboard", "redis_state", "hub", "bot")
"""Whose unit tests come first: the rules are tested soonest, and what all others build upon."""
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
"""Files that share what takes long to start: one process of pytest-xdist runs them, one after the other."""
LONG = (
    *TOGETHER[0], "test_worker_deaths", "test_spine", "test_kill_matrix", *TOGETHER[1], "test_resume",
    *TOGETHER[2], "test_contents_table", *TOGETHER[3], "test_bot_resubmissions",
    "test_worker_attempts",
    "test_bot_state_machine", "test_bot_serve", "test_commands_table", "test_web_schema",
    "test_moderation_saga", "test_localhub_fuzz", "test_flags_board", "test_pulls_races", "test_admission_path",
    "test_commands_hostile", "test_former_paths", "test_steward_up",
)  # fmt: skip
"""Files that take longest: begun early, they do not keep one process busy when the others have nothing left to do.
Those that import the harness alternate with those that wait."""


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """What tells of a mistake soonest, then the long files and what else waits for real workers, then all the rest.

    Tests that `one_in` leaves out run where they are chosen by a word (`-k`) or by their file alone.
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
    """Search for garbage among the objects of the tests only, and seldom: most of them live for a moment."""
    gc.freeze()
    gc.set_threshold(100_000, 50, 100)
    gc.enable()


class FilesTogether(LoadFileScheduling):
    """`--dist loadfile`, by which all tests of a file run in one process, and here those of several files."""

    def _split_scope(self, nodeid: str) -> str:
        name = Path(nodeid.partition("::")[0]).stem
        return next((files[0] for files in TOGETHER if name in files), super()._split_scope(nodeid))


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> FilesTogether | None:
    """How files are dealt out to processes; None: as pytest-xdist does it."""
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
    """The probe of this test process."""
    return shared_probe()


@pytest.fixture(scope="session")
def project() -> Path:
    """The root of this project."""
    return Path(__file__).parent.parent
