"""Helpers for tests of the aggregated table: a board that publishes it, and readers of its repo."""

from __future__ import annotations

import io
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import redis
from huggingface_hub import HfApi

from bot.core.mirrors.contents_table import ContentsCache
from bot.probe import Probe
from leaderboard.columns import FILE
from leaderboard.front_ends import FrontEnd
from steward.testing.board import BOT
from steward.testing.hub import open_board
from tests.support.board.flags import FlagBoardDriver, flags_world
from tests.support.board.published_details import publish

if TYPE_CHECKING:
    import pandas as pd

CONTENTS = "board/contents"
GOOD = "ada/good"


@contextmanager
def board_with_table(folder: Path, connection: redis.Redis, probe: Probe) -> Iterator[FlagBoardDriver]:
    """A board with flags and a table."""
    with open_board(flags_world().datasets(CONTENTS), folder, connection, probe, FlagBoardDriver) as made:
        with_table(made)
        yield made


@pytest.fixture
def stand_with_table(tmp_path: Path, connection: redis.Redis, probe: Probe) -> Iterator[FlagBoardDriver]:
    """A board with a flags repo and an aggregated table."""
    with board_with_table(tmp_path, connection, probe) as driver:
        yield driver


def with_table(stand: FlagBoardDriver) -> None:
    """Give the board a repo for its aggregated table."""
    from hub.records import Repo

    repos = stand.context.board.repos.model_copy(update={"contents": CONTENTS})
    stand.context.board = stand.context.board.model_copy(update={"repos": repos})
    stand.context.contents = Repo("dataset", CONTENTS)


def finished(stand: FlagBoardDriver, model: str = GOOD, **fields: Any) -> str:
    """Submit a model with these `fields`, and let a worker evaluate it."""
    job = stand.started(model, **fields)
    stand.end(job, details=publish(stand.hub.url, job, stand.context.suite))
    return job.path


def look(stand: FlagBoardDriver, rounds: int = 3) -> list[tuple[str, str]]:
    """Run the timer and the syncs `rounds` times, five minutes apart; return the last round's calls to the Hub."""
    for _ in range(rounds):
        before = len(stand.calls)
        stand.time += 300
        stand.tick()
        stand.work()
    return stand.calls[before:]


def data(stand: FlagBoardDriver) -> bytes:
    """Download the bytes of the table."""
    path = HfApi(stand.hub.url, token=BOT).hf_hub_download(
        CONTENTS, FILE, repo_type="dataset", local_dir=stand.hub.state.data / "downloads", force_download=True
    )
    return Path(path).read_bytes()


def table(stand: FlagBoardDriver) -> pd.DataFrame:
    """Return the table's rows as `pandas` reads them."""
    import pandas as pd  # in the one process that reads tables, not in each that collects the tests

    return pd.read_parquet(io.BytesIO(data(stand)))


def names(stand: FlagBoardDriver) -> list[str]:
    """The models with a row."""
    return [str(name) for name in table(stand)["fullname"]]


def commits(stand: FlagBoardDriver) -> int:
    """How many commits the table's repo has."""
    return len(stand.form.list_repo_commits(CONTENTS, repo_type="dataset"))


def snapshot(stand: FlagBoardDriver, repo: str, into: Path) -> Path:
    """Download every file of a dataset as a starting front end does; return the folder, without the library's cache."""
    api = HfApi(stand.hub.url, token=BOT)
    folder = Path(api.snapshot_download(repo, repo_type="dataset", local_dir=into / repo))
    shutil.rmtree(folder / ".cache")
    return folder


def restart_for(stand: FlagBoardDriver, **front_end: Any) -> None:
    """Replace the sync process by one whose board file names another front end."""
    stand.context.board = stand.context.board.model_copy(update={"front_end": FrontEnd(**front_end)})
    stand.context.contents_memory = ContentsCache()
    stand.time += 900
    look(stand)
