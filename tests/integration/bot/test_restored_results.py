"""Results that are removed by hand: noticed without a call for each file, reported, restored where that is safe."""

from __future__ import annotations

import json
from typing import Any

import pytest
import structlog

from bot.evaluations.restore_deleted import CHECK_SECONDS, missing_results
from bot.ledger.edits import FieldEdit
from bot.requests.submitting import resubmit
from bot.setup.doctor import examine
from leaderboard.attempts import Failure
from steward.testing.board import BoardDriver
from tests.support.board.published_details import publish


def finished(stand: BoardDriver) -> str:
    """Evaluate a request; return the path of its results."""
    job = stand.started()
    stand.end(job, details=publish(stand.hub.url, job, stand.context.suite))
    look(stand)
    file = stand.file(job.path)
    assert file["status"] == "FINISHED"
    return str(file["steward"]["results"])


def look(stand: BoardDriver) -> list[tuple[str, str]]:
    """Let the next periodic check run; return the calls that it took."""
    before = len(stand.calls)
    stand.time += CHECK_SECONDS
    stand.tick()
    stand.work()
    return stand.calls[before:]


def remove(stand: BoardDriver, path: str) -> None:
    """The form's account removes results by hand."""
    stand.form.delete_file(path, "board/results", repo_type="dataset", commit_message="Tidy up")


def write(stand: BoardDriver, path: str, data: bytes) -> None:
    """The form's account writes a results file by hand."""
    repo = {"repo_id": "board/results", "repo_type": "dataset"}
    stand.form.upload_file(path_or_fileobj=data, path_in_repo=path, commit_message="Tidy up", **repo)


def results(stand: BoardDriver) -> list[str]:
    """Return the results files in the results repo."""
    names = stand.form.list_repo_files("board/results", repo_type="dataset")
    return [name for name in names if "results_" in name]


@pytest.mark.parametrize("is_long_ago", [False, True])
def test_results_that_a_stranger_removed_are_restored_once(stand: BoardDriver, is_long_ago: bool) -> None:
    """The bot restores results that an account without rights removed, but only once, even if Redis forgot it."""
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


@pytest.mark.long("a board with results for one more way in which they were removed")
def test_results_stay_restorable_after_a_newer_evaluation_failed(stand: BoardDriver) -> None:
    """If a newer attempt failed, the request keeps its earlier results, and the bot restores them after a removal."""
    path = finished(stand)
    data = stand.context.hub.read_file(stand.context.results, path).data
    (request,) = stand.context.index.paths()
    pushed = stand.ada.upload_file(path_or_fileobj=b"new", path_in_repo="more.txt", repo_id="ada/good")
    entry = stand.context.index.get(request)
    asked = resubmit(stand.context, entry, revision=str(pushed.oid), submitter="ada", cause="c", counts=False)
    assert asked.how == "resubmitted"
    stand.settle()
    stand.fail_next(Failure(cause="weights-corrupted", fault="submission", message="Cut off."))
    look(stand)
    file = stand.file(request)
    assert (file["status"], file["steward"]["results"], file["job_id"][-2:]) == ("FINISHED", path, "-2")
    remove(stand, path)
    look(stand)
    assert stand.context.hub.read_file(stand.context.results, path).data == data


@pytest.mark.long("a board with results for one more way in which they were removed")
def test_restored_results_are_as_the_bot_left_them(stand: BoardDriver) -> None:
    """The bot restores its own last version, with its mark `doubted`, and not what another account wrote since."""
    path = finished(stand)
    mark = FieldEdit(id="doubt 1", path=path, line="Mark results as doubted", facts={"doubted": "by others"})
    stand.context.effects.stage(stand.context.results, mark)
    look(stand)
    data = stand.context.hub.read_file(stand.context.results, path).data
    assert json.loads(data)["steward"]["doubted"] == "by others"
    write(stand, path, data.replace(b"by others", b""))
    remove(stand, path)
    look(stand)
    assert stand.context.hub.read_file(stand.context.results, path).data == data


@pytest.mark.long("a board with results for one more way in which they were removed")
@pytest.mark.parametrize("lost", ["author", "status"])
def test_results_that_cannot_be_verified_stay_removed(stand: BoardDriver, lost: str) -> None:
    """Results that the bot did not write, or of a withdrawn request, are not restored."""
    path = finished(stand)
    (request,) = stand.context.index.paths()
    file = stand.file(request)
    if lost == "author":
        data = stand.context.hub.read_file(stand.context.results, path).data
        remove(stand, path)
        path = path.replace("T12", "T13")
        write(stand, path, data)
        stand.put(request, json.dumps({**file, "steward": {**file["steward"], "results": path}}).encode())
        stand.settle()
    else:
        stand.put(request, json.dumps({**file, "status": "CANCELLED"}).encode())
    remove(stand, path)
    look(stand)
    assert results(stand) == []


@pytest.mark.long("a board with results for one more way in which they were removed")
def test_a_removed_log_is_told(stand: BoardDriver) -> None:
    """The bot reports the path of a log that was removed by hand."""
    job = stand.started()
    stand.end(job, failure=Failure(cause="weights-corrupted", fault="submission", message="Cut off."))
    look(stand)
    path = f"ada/good/{job.attempt}/log.txt"
    stand.form.delete_file(path, "board/logs", repo_type="dataset", commit_message="Tidy up")
    with structlog.testing.capture_logs() as logs:
        look(stand)
    assert removals_by_hand(logs) == [path]


def test_a_check_of_unchanged_repos_costs_one_call_each(stand: BoardDriver) -> None:
    """A check of unchanged repos costs one call each."""
    finished(stand)
    look(stand)
    before = len(stand.calls)
    stand.context.mark("kept")
    stand.work()
    assert [route for _, route in stand.calls[before:]] == ["refs", "refs"]
