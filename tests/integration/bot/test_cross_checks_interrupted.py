"""A cross-check comes to an end if workers disappear or report nothing, Redis is lost, or its request is deleted."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import redis

from bot.evaluations.cross_checks import LATE, NO_WORKER, NO_WORKER_SECONDS, START_SECONDS
from bot.probe import Probe
from leaderboard.cross_checks import NOT_COMPARED, WorkerPolicy
from redis_state.jobs import EvaluationJob
from tests.support.board.cross_checks import CheckedBoard, checked_board, claimed, rarely


@pytest.fixture
def stand(tmp_path: Path, connection: redis.Redis, probe: Probe) -> Iterator[CheckedBoard]:
    """A board with workers of three accounts, none of them the operator's."""
    with checked_board(tmp_path, connection, probe) as board:
        yield board


def lose_redis(stand: CheckedBoard) -> None:
    """Empty the queue server, and let workers send heartbeats again."""
    stand.context.redis.flushall()
    stand.worker()
    stand.tick()
    stand.settle()


def test_with_workers_of_one_account_nothing_can_be_compared(stand: CheckedBoard) -> None:
    """If no worker of another account comes within minutes, the results are published with a note that says so."""
    stand.alive = ()
    job = claimed(stand)
    stand.pass_time(NO_WORKER_SECONDS - 100)
    assert stand.file(job.path)["status"] == "RUNNING"
    stand.pass_time(200)
    assert stand.file(job.path)["status"] == "FINISHED"
    assert stand.cross_check(job.path)["status"] == "not-compared"
    assert stand.cross_check(job.path)["reason"] == NO_WORKER
    assert stand.context.scores.find([job.path])[job.path].note == NOT_COMPARED.format(reason=NO_WORKER)


@rarely
def test_a_worker_that_dies_is_followed_by_another_one(stand: CheckedBoard) -> None:
    """If a checking worker disappears, the bot withdraws its job and orders the check from another worker."""
    stand.alive = ("second",)
    job = claimed(stand)
    assert len(stand.orders("second")) == 1
    stand.alive = ("third",)
    stand.pass_time(START_SECONDS)
    stand.pass_time(START_SECONDS)
    assert stand.orders("second") == []
    stand.report(stand.order("third"), "third")
    assert (stand.file(job.path)["status"], stand.cross_check(job.path)["by"]) == ("FINISHED", ["third"])


@rarely
def test_workers_that_never_answer_hold_no_results_back_for_ever(stand: CheckedBoard) -> None:
    """Hours after a worker took a check and never reported, the results are published as not compared."""
    stand.alive = ("second",)
    job = claimed(stand)
    stand.order("second")
    for _ in range(4):
        stand.pass_time(2 * 3_600)
    assert stand.file(job.path)["status"] == "FINISHED"
    assert (stand.cross_check(job.path)["status"], stand.cross_check(job.path)["reason"]) == ("not-compared", LATE)


@rarely
def test_a_worker_that_could_compute_nothing_says_why(stand: CheckedBoard) -> None:
    """If the only worker reports a problem instead of answers, the results are not compared and name the problem."""
    stand.alive = ("second",)
    job = claimed(stand)
    stand.report(stand.order("second"), "second", answers=(), problem="ModelTooLarge: 80 GB")
    stand.pass_time(NO_WORKER_SECONDS + 1)
    check = stand.cross_check(job.path)
    assert (check["status"], check["by"]) == ("not-compared", [])
    assert "ModelTooLarge: 80 GB" in check["reason"]


OWNER = WorkerPolicy.model_validate({"owned": ["second"], "check": {"questions": 4}})


@pytest.mark.parametrize(
    ("reported", "owned"),
    [
        pytest.param(False, True, marks=rarely),
        pytest.param(True, False, marks=rarely),
        (True, True),
    ],
)
def test_redis_may_be_lost_between_the_steps(stand: CheckedBoard, reported: bool, owned: bool) -> None:
    """After Redis was lost, only a report of the operator's own worker still counts; else the check starts again."""
    if owned:
        stand.use(OWNER)
    job = claimed(stand)
    order = stand.order("second")
    if reported:
        stand.report(order, "second", wakes=False)
    lose_redis(stand)
    for _ in range(8):
        stand.pass_time(30)
    if not (reported and owned):
        again = stand.order("second")
        assert nonce_of(again) != nonce_of(order), "a report on the Hub may be one that the bot did not order"
        order = again
        stand.report(order, "second")
    assert stand.file(job.path)["status"] == "FINISHED"
    assert stand.cross_check(job.path)["nonce"] == nonce_of(order)
    assert stand.orders() == []


def nonce_of(job: EvaluationJob) -> str:
    """The nonce of an order."""
    assert job.cross_check is not None
    return job.cross_check.nonce


@rarely
def test_a_disagreement_goes_on_after_redis_was_lost(stand: CheckedBoard) -> None:
    """After Redis was lost, the bot reads the second worker's report again, and the third gets the same questions."""
    stand.use(OWNER)
    job = claimed(stand)
    second = stand.order("second")
    assert second.cross_check is not None
    stand.report(second, "second", second.cross_check.questions)
    stand.order("third")
    lose_redis(stand)
    for _ in range(8):
        stand.pass_time(30)
    third = stand.order("third")
    assert third.cross_check is not None
    assert third.cross_check.questions == second.cross_check.questions
    stand.report(third, "third", second.cross_check.questions)
    assert stand.file(job.path)["steward"]["failure"]["cause"] == "answers-differ"


@rarely
def test_a_request_that_is_removed_meanwhile_ends_its_check(stand: CheckedBoard) -> None:
    """If a request is deleted during its check, the worker's report is ignored and nothing is published."""
    job = claimed(stand)
    order = stand.order("second")
    stand.form.delete_file(job.path, "board/requests", repo_type="dataset")
    stand.settle()
    stand.report(order, "second")
    stand.pass_time()
    assert (stand.published(), stand.orders()) == ([], [])
    assert stand.context.parking.all() == []
