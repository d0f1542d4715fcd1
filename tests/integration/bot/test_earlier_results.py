"""A model with results is submitted again: the earlier results stay until a newer evaluation has finished."""

from __future__ import annotations

from typing import Any

import pytest

from bot.queue.rulings import cancel
from bot.read_models import serializers
from bot.results.scoreboard import SCORES
from bot.results.searching import find
from bot.web.board import BoardReader
from bot.web.pages.results import ResultsQuery, results
from leaderboard.attempts import Failure
from steward.testing.board import BoardDriver
from tests.support.board.published_details import publish

THEIRS = Failure(cause="weights-not-finite", fault="submission", message="Weights are NaN.")


@pytest.fixture
def finished(stand: BoardDriver) -> dict[str, Any]:
    """The file of a request that has finished; its model has a newer commit."""
    job = stand.started()
    stand.end(job, details=publish(stand.hub.url, job, stand.context.suite))
    file = stand.file(job.path)
    assert file["status"] == "FINISHED"
    stand.ada.upload_file(path_or_fileobj=b"more", path_in_repo="more.txt", repo_id="ada/good")
    return {**file, "path": job.path}


def resubmit(stand: BoardDriver, path: str, revision: str = "main") -> None:
    """Write a new request file over the finished one, as a form does."""
    stand.submit("ada/good", path=path, revision=revision, submitted_time="2026-11-25T00:00:00Z")
    stand.settle()


def run(stand: BoardDriver, **end: Any) -> None:
    """Let a worker take the waiting request and end it."""
    stand.worker()
    stand.tick()
    stand.settle()
    (job,) = stand.queued()
    assert stand.take(job) is True
    if "failure" not in end:
        end["details"] = publish(stand.hub.url, job, stand.context.suite, number=1)
    stand.end(job, **end)
    stand.settle()


def scored(stand: BoardDriver) -> list[tuple[str, float]]:
    """The commits and averages on the page of results."""
    return [
        (result.revision, result.average)
        for result in results(BoardReader(stand.context), ResultsQuery(limit=9)).results
    ]


def found(stand: BoardDriver, revision: str) -> list[float | None]:
    """The averages of the requests that a search for a commit finds."""
    return [hit.average for hit in find(stand.context, f"Model sha: {revision}", limit=9).hits]


def test_while_a_newer_evaluation_waits_front_ends_go_on_showing_the_old_result(
    stand: BoardDriver, finished: dict[str, Any]
) -> None:
    """The file of a waiting resubmission is PENDING_NEW_EVAL and names the old result, and later only the new one."""
    path = finished["path"]
    stand.context.workers.leave("w")
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


def test_a_newer_evaluation_that_fails_puts_the_old_result_back(stand: BoardDriver, finished: dict[str, Any]) -> None:
    """After a failed newer evaluation the file is FINISHED with the old commit and results, and records the failure."""
    path = finished["path"]
    resubmit(stand, path)
    run(stand, failure=THEIRS)
    file = stand.file(path)
    assert (file["status"], file["revision"]) == ("FINISHED", finished["steward"]["revision"])
    assert file["steward"]["results"] == finished["steward"]["results"]
    assert file["steward"]["failure"]["cause"] == THEIRS.cause
    assert "stays" in stand.threads()[0].events[0].content


@pytest.mark.long("two evaluations and one more end of the second")
def test_a_refused_resubmission_puts_the_old_result_back(stand: BoardDriver, finished: dict[str, Any]) -> None:
    """A resubmission with an unknown revision is refused, and the earlier result returns."""
    path = finished["path"]
    resubmit(stand, path, revision="nowhere")
    file = stand.file(path)
    assert file["status"] == "FINISHED"
    assert file["steward"]["failure"]["cause"] == "revision-not-found"
    assert file["steward"]["results"] == finished["steward"]["results"]


@pytest.mark.long("two evaluations and one more end of the second")
def test_a_board_whose_front_end_drops_that_status_never_writes_it(
    stand: BoardDriver, finished: dict[str, Any]
) -> None:
    """With `shows_new_evals` off, a resubmission is PENDING, and FINISHED again if the newer evaluation fails."""
    stand.context.board = stand.context.board.model_copy(update={"shows_new_evals": False})
    path = finished["path"]
    stand.context.workers.leave("w")
    resubmit(stand, path)
    assert stand.file(path)["status"] == "PENDING"
    run(stand, failure=THEIRS)
    assert stand.file(path)["status"] == "FINISHED"


@pytest.mark.long("two evaluations and one more end of the second")
@pytest.mark.parametrize("shows_new_evals", [True, False])
def test_a_newer_evaluation_that_is_cancelled_leaves_the_old_result(
    stand: BoardDriver, finished: dict[str, Any], *, shows_new_evals: bool
) -> None:
    """`/cancel` of a newer evaluation leaves the old result on the page of results, and the thread says so."""
    stand.context.board = stand.context.board.model_copy(update={"shows_new_evals": shows_new_evals})
    path, old = finished["path"], finished["steward"]["revision"]
    stand.context.workers.leave("w")
    resubmit(stand, path)
    assert cancel(stand.context, path, "The wrong commit.", "ada").done
    stand.settle()
    file = stand.file(path)
    assert (file["status"], file["steward"]["kept"]["results"]) == ("CANCELLED", finished["steward"]["results"])
    assert [revision for revision, _ in scored(stand)] == [old]
    assert "The earlier result of this model stays as it is." in stand.threads()[0].events[0].content
    stand.context.redis.flushall()
    stand.settle()
    stand.context.mark(SCORES)
    stand.work()
    assert [revision for revision, _ in scored(stand)] == [old], "also after Redis was lost"


@pytest.mark.parametrize("is_known", [False, True])
def test_a_score_is_shown_at_the_commit_that_was_evaluated(
    stand: BoardDriver, finished: dict[str, Any], is_known: bool
) -> None:
    """While a newer commit waits, and after it failed, page and search show the old score at the old commit."""
    path, old = finished["path"], finished["steward"]["revision"]
    new = stand.ada.model_info("ada/good").sha
    (noted,) = stand.context.scores.all()
    if not is_known:
        stand.context.redis.hset(
            stand.context.keys.scores, path, noted.model_dump_json(exclude={"revision", "results"})
        )
    stand.context.workers.leave("w")
    resubmit(stand, path)
    assert (scored(stand), found(stand, old), found(stand, str(new))) == ([(old, noted.average)], [noted.average], [])
    assert serializers.summary(stand.context, stand.context.index.get(path)).revision == new, "the newer commit waits"
    run(stand, failure=THEIRS)
    assert (scored(stand), found(stand, old), found(stand, str(new))) == ([(old, noted.average)], [noted.average], [])
    assert serializers.summary(stand.context, stand.context.index.get(path)).revision == old


@pytest.mark.long("two evaluations and one more end of the second")
def test_a_newer_score_is_shown_at_the_newer_commit(stand: BoardDriver, finished: dict[str, Any]) -> None:
    """After a newer commit was evaluated, the page, the search and the request show only that one."""
    path, old = finished["path"], finished["steward"]["revision"]
    resubmit(stand, path)
    run(stand)
    new = stand.file(path)["steward"]["revision"]
    ((revision, average),) = scored(stand)
    assert (revision, found(stand, old), found(stand, new)) == (new, [], [average])
    assert serializers.summary(stand.context, stand.context.index.get(path)).revision == new
