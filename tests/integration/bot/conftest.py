"""Fixtures: the bot's web server over HTTP, boards and a ledger, each on a local Hub and a real queue server.

A test file that needs another `stand`, for example, defines it or assigns a fixture of tests/support to the name.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest
import redis

from bot.core.settings import BotSettings
from bot.probe import Probe
from localhub.testing import LocalHub
from steward.testing.board import BOARD, OLD_SECRET, SECRET, BoardDriver
from steward.testing.hub import board_world, open_board
from steward.testing.running import client_of
from steward.valkey import Valkey
from tests.support.board.discussion import Discussion
from tests.support.board.ledger_driver import WORLD, LedgerDriver
from tests.support.board.maintained_board import add_maintainer
from tests.support.board.parked_syncs import NUMBERS, park
from tests.support.board.scripted_backend import scripted_backend
from tests.support.board.scripted_platform import ScriptedPlatform
from tests.support.board.sign_in import Browser, SignInSite, signing
from tests.support.board.submissions import syncs_beside

ROOM = 2 * 1024**3
"""Bytes that must be free in `/dev/shm` before tests put their files into it."""


@pytest.fixture
def settings(valkey_url: str, tmp_path: Path) -> BotSettings:
    """The settings of a web server."""
    (tmp_path / "board.yaml").write_text(BOARD)
    return BotSettings(
        redis_url=valkey_url,
        board=tmp_path / "board.yaml",
        webhook_secret=SECRET,
        old_webhook_secret=OLD_SECRET,
        max_delivery_bytes=100_000,
        port=0,
    )


@pytest.fixture
def web(settings: BotSettings) -> Iterator[httpx2.Client]:
    """A client of a running web server."""
    with client_of(settings) as client:
        yield client


@pytest.fixture(scope="module")
def lasting_valkey(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Valkey]:
    """A queue server for all tests of a file: no test changes what another one reads."""
    with Valkey(tmp_path_factory.mktemp("lasting-valkey")) as running:
        yield running


@pytest.fixture(scope="module")
def lasting_redis(lasting_valkey: Valkey) -> Iterator[redis.Redis]:
    """A client of that queue server."""
    with redis.Redis.from_url(lasting_valkey.url) as client:
        yield client


@pytest.fixture
def stand(tmp_path: Path, connection: redis.Redis, probe: Probe) -> Iterator[BoardDriver]:
    """A board with nothing in it yet."""
    with open_board(board_world(), tmp_path, connection, probe, BoardDriver) as driver:
        yield driver


@pytest.fixture
def syncing(stand: BoardDriver) -> Iterator[BoardDriver]:
    """A board whose syncs run beside the test, by the clock of the web server."""
    with syncs_beside(stand):
        yield stand


@pytest.fixture
def talk(stand: BoardDriver) -> Discussion:
    """A discussion that Ada opened; the form is a maintainer."""
    add_maintainer(stand, front_ends=(stand.context.hub.user("form").id,))
    return Discussion(stand)


@pytest.fixture
def platform(stand: BoardDriver) -> ScriptedPlatform:
    """The platform on which the attempts of `stand` run."""
    return scripted_backend(stand)


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalHub]:
    """A Hub with a board for all tests of a file."""
    with LocalHub(tmp_path_factory.mktemp("hub"), board_world()) as started:
        yield started


@pytest.fixture
def local_hub(tmp_path: Path) -> Iterator[LocalHub]:
    """A Hub with the two repos whose edits the ledger of `driver` writes."""
    with LocalHub(tmp_path, WORLD) as started:
        yield started


@pytest.fixture
def driver(local_hub: LocalHub, connection: redis.Redis) -> Iterator[LedgerDriver]:
    """A ledger on `local_hub`."""
    started = LedgerDriver(local_hub.url, connection)
    yield started
    started.hub.close()


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory, valkey: Valkey, probe: Probe) -> Iterator[SignInSite]:
    """A running board that people sign in to, for all tests of a file."""
    with (
        redis.Redis.from_url(valkey.url) as client,
        signing(tmp_path_factory.mktemp("site"), client, valkey.url, probe) as opened,
    ):
        yield opened


@pytest.fixture(scope="module")
def mia(site: SignInSite) -> Browser:
    """A browser that is signed in as Mia, a maintainer in the board file."""
    browser = site.browser()
    browser.sign_in("mia")
    return browser


@pytest.fixture
def parked(site: SignInSite) -> str:
    """The key of a parked sync, a new one for each test because a woken sync may still be running."""
    return park(site, f"unhandled:{next(NUMBERS)}")


@pytest.fixture
def tmp_path(tmp_path: Path) -> Iterator[Path]:
    """A folder in memory if enough is free, because these tests create a thousand Hubs of many small files each."""
    memory = Path("/dev/shm")
    if not memory.is_dir() or shutil.disk_usage(memory).free < ROOM:
        yield tmp_path
        return
    with tempfile.TemporaryDirectory(prefix="steward-test-", dir=memory) as folder:
        yield Path(folder)
