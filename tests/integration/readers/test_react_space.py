"""The React Space reads and writes the files of a board that names it as its front end."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import redis

import tests.support.board.front_end_readers as fronts
from bot.probe import Probe
from leaderboard.attempts import Failure
from leaderboard.front_ends import FrontEnd
from steward.testing.board import REQUESTS
from tests.support.board.contents_table import GOOD, board_with_table, data, finished, look, names, snapshot, table
from tests.support.board.flags import FlagBoardDriver


@pytest.fixture
def stand(tmp_path: Path, connection: redis.Redis, probe: Probe) -> Iterator[FlagBoardDriver]:
    """A board with flags and a table, and the React Space as its front end."""
    with board_with_table(tmp_path, connection, probe) as driver:
        driver.context.board = driver.context.board.model_copy(update={"front_end": FrontEnd(name="react")})
        yield driver


def test_a_form_may_spell_a_precision_in_its_own_way(stand: FlagBoardDriver) -> None:
    """A request with the precision `Float32` is evaluated; its file keeps the spelling, and the table has `float32`."""
    path = f"{GOOD}_eval_request_False_Float32_Original.json"
    assert finished(stand, path=path, precision="Float32") == path
    assert (stand.file(path)["status"], stand.file(path)["precision"]) == ("FINISHED", "Float32")
    look(stand)
    assert list(table(stand)["Precision"]) == ["float32"]


@pytest.mark.long("two seconds of a processor")
def test_what_waits_for_another_evaluation_is_in_a_list_and_keeps_its_row(
    stand: FlagBoardDriver, tmp_path: Path
) -> None:
    """A model submitted again and one with the status RERUN are pending; the former keeps its row in the table."""
    finished(stand)
    look(stand)
    stand.context.workers.leave("w")
    stand.ada.upload_file(path_or_fileobj=b"more", path_in_repo="more.txt", repo_id=GOOD)
    stand.submit(GOOD, precision="float32", submitted_time="2026-11-25T00:00:00Z")
    stand.submit("ada/plain", precision="float32", status="RERUN")
    stand.settle()
    stand.time += 900  # until the budget of commits allows the next one
    stand.settle()
    look(stand)
    queue = fronts.react_queue(snapshot(stand, REQUESTS, tmp_path / "after"))
    assert queue == {"PENDING": {"ada/good float32", "ada/plain float32"}, "RUNNING": set(), "FINISHED": set()}
    assert names(stand) == [row["name"] for row in fronts.react_leaderboard(data(stand))] == [GOOD]


def test_a_retry_is_in_a_list_and_waits_as_long_as_any_other(stand: FlagBoardDriver) -> None:
    """After a failure on the board's side the file says PENDING, and the next attempt is queued after 15 minutes."""
    job = stand.started()
    stand.end(job, failure=Failure(cause="dataset-changed", fault="us", message="Other questions."))
    file = stand.file(job.path)
    assert (file["status"], file["steward"]["attempt"]) == ("PENDING", 2)
    for wait, waiting in ((600, 0), (301, 1)):
        stand.time += wait
        stand.worker()
        stand.tick()
        stand.work()
        assert len(stand.queued()) == waiting
