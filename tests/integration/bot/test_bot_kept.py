"""What somebody removes from the results by hand: noticed without a call a file, told, put back where it is safe."""

from __future__ import annotations

import json

import pytest

from bot.evaluations.restore_deleted import CHECK_SECONDS, missing_results
from bot.setup.doctor import examine
from leaderboard.attempts import Failure
from tests.support.board.board_driver import BoardDriver
from tests.support.board.published_details import publish


def finished(stand: BoardDriver) -> str:
    """A request that was evaluated, and what it looks like to everybody; the path of its results."""
    job = stand.started()
    stand.end(job, details=publish(stand.hub.url, job, stand.context.suite))
    look(stand)
    file = stand.file(job.path)
    assert file["status"] == "FINISHED"
    return str(file["steward"]["results"])


def look(stand: BoardDriver) -> list[tuple[str, str]]:
    """Let the next look come; the calls that it took."""
    before = len(stand.calls)
    stand.time += CHECK_SECONDS
    stand.tick()
    stand.work()
    return stand.calls[before:]


def remove(stand: BoardDriver, path: str) -> None:
    """The form's account removes results by hand."""
    stand.form.delete_file(path, "board/results", repo_type="dataset", commit_message="Tidy up")


def results(stand: BoardDriver) -> list[str]:
    """The results that people see."""
    names = stand.form.list_repo_files("board/results", repo_type="dataset")
    return [name for name in names if "results_" in name]


def test_results_that_somebody_removed_come_back_once(stand: BoardDriver) -> None:
    """Removed by an account that is no maintainer: put back, byte for byte; removed again, it stays so."""
    path = finished(stand)
    data = stand.context.hub.read_file(stand.context.results, path).data
    remove(stand, path)
    assert missing_results(stand.context) == [(next(iter(stand.context.index.paths())), path)]
    (told,) = [check for check in examine(stand.context) if check.name == "results"]
    assert (told.state, path in told.words) == ("warning", True)
    look(stand)
    assert results(stand) == [path]
    assert stand.context.hub.read_file(stand.context.results, path).data == data
    assert missing_results(stand.context) == []
    remove(stand, path)
    look(stand)
    assert results(stand) == []


def test_what_a_maintainer_removed_stays_removed(stand: BoardDriver, capsys: pytest.CaptureFixture[str]) -> None:
    """A maintainer's removal is a decision: it is told and left."""
    path = finished(stand)
    stand.context.board = stand.context.board.model_copy(update={"maintainers": (stand.context.hub.user("form").id,)})
    remove(stand, path)
    look(stand)
    assert results(stand) == []
    told = capsys.readouterr().out
    assert "removed by hand" in told
    assert path in told


@pytest.mark.parametrize("lost", ["details", "status"])
def test_nothing_comes_back_that_nothing_tells_to_be_right(stand: BoardDriver, lost: str) -> None:
    """Without its details, or with a request that was withdrawn, removed results stay removed."""
    path = finished(stand)
    (request,) = stand.context.index.paths()
    if lost == "details":
        stand.hub.state.faults.fail("GET */details_ada__good/resolve/*", status=404, times=None)
    else:
        stand.put(request, json.dumps({**stand.file(request), "status": "CANCELLED"}).encode())
    remove(stand, path)
    look(stand)
    assert results(stand) == []


def test_a_removed_log_is_told(stand: BoardDriver, capsys: pytest.CaptureFixture[str]) -> None:
    """A log has no second copy: who removed it, and where, is told."""
    job = stand.started()
    stand.end(job, failure=Failure(cause="weights-corrupted", fault="submission", message="Cut off."))
    look(stand)
    path = f"ada/good/{job.attempt}/log.txt"
    stand.form.delete_file(path, "board/logs", repo_type="dataset", commit_message="Tidy up")
    look(stand)
    told = capsys.readouterr().out
    assert "removed by hand" in told
    assert path in told


def test_a_look_at_what_nobody_changed_costs_one_call_a_repo(stand: BoardDriver) -> None:
    """Also where we have committed since: our own commits are seen in one call more."""
    finished(stand)
    look(stand)
    before = len(stand.calls)
    stand.context.mark("kept")
    stand.work()
    assert [route for _, route in stand.calls[before:]] == ["refs", "refs"]
