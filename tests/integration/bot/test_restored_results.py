"""Results that are removed by hand: noticed without a call for each file, reported, restored where that is safe."""

from __future__ import annotations

import json
from typing import Any

import pytest
import structlog

from bot.evaluations.restore_deleted import CHECK_SECONDS, missing_results
from bot.setup.doctor import examine
from leaderboard.attempts import Failure
from tests.support.board.board_driver import BoardDriver
from tests.support.board.published_details import publish
from tests.support.sizes import one_in

pytestmark = one_in(2)


def finished(stand: BoardDriver) -> str:
    """Evaluate a request; return it as people see it, and the path of its results."""
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


@pytest.mark.parametrize("is_long_ago", [False, True])
def test_results_that_a_stranger_removed_are_restored_once(stand: BoardDriver, is_long_ago: bool) -> None:
    """Results that were removed by an account without rights are restored byte for byte, once: a day later, too."""
    path = finished(stand)
    data = stand.context.hub.read_file(stand.context.results, path).data
    remove(stand, path)
    assert missing_results(stand.context) == [(next(iter(stand.context.index.paths())), path)]
    (results_check,) = [check for check in examine(stand.context) if check.name == "results"]
    assert (results_check.state, path in results_check.words) == ("warning", True)
    look(stand)
    assert results(stand) == [path]
    assert stand.context.hub.read_file(stand.context.results, path).data == data
    assert missing_results(stand.context) == []
    if is_long_ago:  # Redis has forgotten how the edit ended
        stand.context.redis.delete(stand.context.keys.edit_end(f"restore {path}"))
    remove(stand, path)
    look(stand)
    assert results(stand) == []


def removals_by_hand(logs: list[Any]) -> list[str]:
    """The paths that the bot reports as removed by hand."""
    return [event["path"] for event in logs if event["event"] == "removed by hand"]


def test_what_a_maintainer_removed_stays_removed(stand: BoardDriver) -> None:
    """Results that a maintainer removed stay removed, and the removal is reported."""
    path = finished(stand)
    stand.context.board = stand.context.board.model_copy(update={"maintainers": (stand.context.hub.user("form").id,)})
    remove(stand, path)
    with structlog.testing.capture_logs() as logs:
        look(stand)
    assert results(stand) == []
    assert removals_by_hand(logs) == [path]


@pytest.mark.parametrize("lost", ["details", "status"])
def test_results_that_cannot_be_verified_stay_removed(stand: BoardDriver, lost: str) -> None:
    """Results without details, or of a withdrawn request, are not restored."""
    path = finished(stand)
    (request,) = stand.context.index.paths()
    if lost == "details":
        stand.hub.state.faults.fail("GET */details_ada__good/resolve/*", status=404, times=None)
    else:
        stand.put(request, json.dumps({**stand.file(request), "status": "CANCELLED"}).encode())
    remove(stand, path)
    look(stand)
    assert results(stand) == []


def test_a_removed_log_is_told(stand: BoardDriver) -> None:
    """A removed log has no second copy: the report says which account removed it, and where."""
    job = stand.started()
    stand.end(job, failure=Failure(cause="weights-corrupted", fault="submission", message="Cut off."))
    look(stand)
    path = f"ada/good/{job.attempt}/log.txt"
    stand.form.delete_file(path, "board/logs", repo_type="dataset", commit_message="Tidy up")
    with structlog.testing.capture_logs() as logs:
        look(stand)
    assert removals_by_hand(logs) == [path]


def test_a_check_of_unchanged_repos_costs_one_call_each(stand: BoardDriver) -> None:
    """A check of unchanged repos costs one call each, and one more after a commit of the bot."""
    finished(stand)
    look(stand)
    before = len(stand.calls)
    stand.context.mark("kept")
    stand.work()
    assert [route for _, route in stand.calls[before:]] == ["refs", "refs"]
