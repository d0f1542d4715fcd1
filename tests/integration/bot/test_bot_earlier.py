"""A model that has results and is submitted again: they stay until there are newer ones, or come back."""

from __future__ import annotations

from typing import Any

import pytest
from published_kit import publish
from stand_kit import Stand

from leaderboard.attempts import Failure

THEIRS = Failure(cause="weights-not-finite", fault="submission", message="Weights are NaN.")


@pytest.fixture
def finished(stand: Stand) -> dict[str, Any]:
    """The file of a request that has finished; its model has a newer commit."""
    job = stand.started()
    stand.end(job, details=publish(stand.hub.url, job, stand.desk.suite))
    file = stand.file(job.path)
    assert file["status"] == "FINISHED"
    stand.ada.upload_file(path_or_fileobj=b"more", path_in_repo="more.txt", repo_id="ada/good")
    return {**file, "path": job.path}


def resubmit(stand: Stand, path: str, revision: str = "main") -> None:
    """A form writes a new file over the finished one."""
    stand.submit("ada/good", path=path, revision=revision, submitted_time="2026-11-25T00:00:00Z")
    stand.settle()


def run(stand: Stand, **end: Any) -> None:
    """What waits is taken and ends."""
    stand.worker()
    stand.tick()
    stand.settle()
    (job,) = stand.queued()
    assert stand.take(job) is True
    if "failure" not in end:
        end["details"] = publish(stand.hub.url, job, stand.desk.suite, number=1)
    stand.end(job, **end)
    stand.settle()


def test_while_a_newer_evaluation_waits_front_ends_go_on_showing_the_old_result(
    stand: Stand, finished: dict[str, Any]
) -> None:
    """The file says PENDING_NEW_EVAL, and keeps which result there is; after the newer one it has just that."""
    path = finished["path"]
    stand.desk.workers.leave("w")
    resubmit(stand, path)
    waiting = stand.file(path)
    assert waiting["status"] == "PENDING_NEW_EVAL"
    assert waiting["steward"]["kept"]["results"] == finished["steward"]["results"]
    run(stand)
    newer = stand.file(path)
    assert newer["status"] == "FINISHED"
    assert newer["steward"]["results"] != finished["steward"]["results"]
    assert newer["steward"]["revision"] != finished["steward"]["revision"]
    assert newer["steward"].get("kept") is None


def test_a_newer_evaluation_that_fails_puts_the_old_result_back(stand: Stand, finished: dict[str, Any]) -> None:
    """FINISHED at the old commit with the old results, and the failure is noted in the file and told in the thread."""
    path = finished["path"]
    resubmit(stand, path)
    run(stand, failure=THEIRS)
    file = stand.file(path)
    assert (file["status"], file["revision"]) == ("FINISHED", finished["steward"]["revision"])
    assert file["steward"]["results"] == finished["steward"]["results"]
    assert file["steward"]["failure"]["cause"] == THEIRS.cause
    assert "stays" in stand.threads()[0].events[0].content


def test_a_refused_resubmission_puts_the_old_result_back(stand: Stand, finished: dict[str, Any]) -> None:
    """A revision that does not exist costs nobody their result."""
    path = finished["path"]
    resubmit(stand, path, revision="nowhere")
    file = stand.file(path)
    assert file["status"] == "FINISHED"
    assert file["steward"]["failure"]["cause"] == "revision-not-found"
    assert file["steward"]["results"] == finished["steward"]["results"]


def test_a_board_whose_front_end_drops_that_status_never_writes_it(stand: Stand, finished: dict[str, Any]) -> None:
    """Such a board says PENDING, and has the old result back all the same."""
    stand.desk.board = stand.desk.board.model_copy(update={"shows_new_evals": False})
    path = finished["path"]
    stand.desk.workers.leave("w")
    resubmit(stand, path)
    assert stand.file(path)["status"] == "PENDING"
    run(stand, failure=THEIRS)
    assert stand.file(path)["status"] == "FINISHED"
