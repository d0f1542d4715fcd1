"""A worker of another account recomputes answers of workers that the operator does not own, and the bot decides by it.

The tests use a localhub and a real queue server, with workers that report what a test tells them to."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import redis

from bot.core.metrics_recomputer import MetricsRecomputer, RecomputedSamples
from bot.evaluations.cross_checks import NO_WORKER_SECONDS, OTHER_EVALUATOR
from bot.evaluations.recomputing import OTHER_EVALUATOR as OTHER_METRICS
from bot.probe import Probe
from bot.queue.rulings import cancel
from leaderboard.cross_checks import WorkerPolicy
from leaderboard.evaluators import Evaluator
from redis_state.clock import iso
from redis_state.jobs import EvaluationJob
from redis_state.set_aside import SetAsideWorker, account_name
from tests.support.board.cross_checks import CLAIMER, CheckedBoard, checked_board, claimed, rarely
from tests.support.board.discussion import digests
from tests.support.board.published_details import publish


@pytest.fixture
def stand(tmp_path: Path, connection: redis.Redis, probe: Probe) -> Iterator[CheckedBoard]:
    """A board with workers of three accounts, none of them the operator's."""
    with checked_board(tmp_path, connection, probe) as board:
        yield board


def told(stand: CheckedBoard) -> list[str]:
    """The comments in the maintainers' thread about accounts that are set aside."""
    return [comment for comments in digests(stand) for comment in comments if "are set aside" in comment]


def test_answers_that_another_worker_confirms_are_published(stand: CheckedBoard) -> None:
    """The bot orders a check of 4 answers from one other worker, and publishes the results with the check's outcome."""
    job = claimed(stand)
    assert stand.orders("w", "third") == [], "the claimer's own worker gets no order, and one worker suffices"
    order = stand.order("second")
    assert order.cross_check is not None
    assert (order.model, order.revision, order.precision) == (job.model, job.revision, job.precision)
    assert (order.cross_check.attempt, len(order.cross_check.questions)) == (job.attempt, 4)
    stand.report(order, "second")
    assert stand.file(job.path)["status"] == "FINISHED"
    assert stand.cross_check(job.path) == {
        "worker": CLAIMER,
        "status": "agrees",
        "by": ["second"],
        "questions": 4,
        "compared": 4,
        "nonce": order.cross_check.nonce,
        "reason": "",
        "at": iso(stand.time),
    }
    assert stand.orders() == []


def test_a_worker_that_two_others_contradict_is_set_aside(stand: CheckedBoard) -> None:
    """If two workers find the same answer wrong, the bot publishes nothing, queues the model again, notifies
    maintainers once, and gives workers of that account no more claims."""
    job = claimed(stand)
    second = stand.order("second")
    assert second.cross_check is not None
    wrong = second.cross_check.questions[:2]
    stand.report(second, "second", wrong)
    assert stand.file(job.path)["status"] == "RUNNING"
    third = stand.order("third")
    assert third.cross_check is not None
    assert third.cross_check.questions == second.cross_check.questions
    stand.report(third, "third", wrong[:1])
    failure = stand.file(job.path)["steward"]["failure"]
    assert (stand.file(job.path)["status"], failure["cause"], failure["fault"]) == ("RERUN", "answers-differ", "us")
    assert "1 of 4 answers" in failure["message"] and "second and third" in failure["message"]
    assert stand.published() == []
    assert stand.context.set_aside.includes("w", CLAIMER)
    for _ in range(2):
        stand.pass_time(3_600)
    (comment,) = told(stand)
    assert f"`{CLAIMER}`" in comment and "instead of -2.000000" in comment
    (again,) = stand.queued()
    assert not stand.take(again), "no worker of the account gets a claim"


@pytest.mark.long("three workers and their answers once more")
def test_a_withdrawn_request_does_not_end_the_check_of_a_worker(stand: CheckedBoard) -> None:
    """The check goes on after a request is cancelled, so that a worker's account cannot stop it by submitting and
    cancelling the model; nothing is published."""
    job = claimed(stand)
    second = stand.order("second")
    assert second.cross_check is not None
    wrong = second.cross_check.questions[:2]
    stand.report(second, "second", wrong)
    third = stand.order("third")
    assert cancel(stand.context, job.path, "I changed my mind", CLAIMER).done
    stand.settle()
    assert stand.file(job.path)["status"] == "CANCELLED"
    stand.report(third, "third", wrong)
    assert stand.context.set_aside.includes("w", CLAIMER)
    stand.pass_time()
    assert (stand.file(job.path)["status"], stand.published(), stand.orders()) == ("CANCELLED", [], [])


@rarely
def test_results_that_an_account_publishes_after_it_was_set_aside_are_refused(stand: CheckedBoard) -> None:
    """The bot refuses results of an account that was set aside during the evaluation."""
    job = stand.started()
    name = account_name(CLAIMER)
    aside = SetAsideWorker(worker=name, account=CLAIMER, attempt="a", path="p", reason="r", at=stand.time)
    stand.context.set_aside.put(aside)  # while its worker evaluates
    stand.evaluate(job)
    failure = stand.file(job.path)["steward"]["failure"]
    assert failure["cause"] == "answers-differ" and "is set aside" in failure["message"]
    assert (stand.orders(), stand.published()) == ([], [])


@pytest.mark.long("three workers and their answers once more")
def test_a_second_worker_that_the_third_contradicts_is_set_aside(stand: CheckedBoard) -> None:
    """If the third worker confirms what the second contradicts, the second is set aside and the results published."""
    job = claimed(stand)
    second = stand.order("second")
    assert second.cross_check is not None
    stand.report(second, "second", second.cross_check.questions)
    stand.report(stand.order("third"), "third")
    assert stand.file(job.path)["status"] == "FINISHED"
    assert (stand.cross_check(job.path)["status"], stand.cross_check(job.path)["by"]) == ("agrees", ["third"])
    assert [worker.account for worker in stand.context.set_aside.all()] == ["second"]


@rarely
def test_workers_that_contradict_each_other_leave_a_dispute(stand: CheckedBoard) -> None:
    """If no two workers find the same answer wrong, the results are published as disputed; no account is set aside."""
    job = claimed(stand)
    second = stand.order("second")
    assert second.cross_check is not None
    stand.report(second, "second", second.cross_check.questions[:1])
    stand.report(stand.order("third"), "third", second.cross_check.questions[1:2])
    assert stand.file(job.path)["status"] == "FINISHED"
    assert (stand.cross_check(job.path)["status"], stand.context.set_aside.all()) == ("disputed", [])


def test_no_account_but_the_one_that_was_asked_confirms_answers(stand: CheckedBoard) -> None:
    """A report counts only if the ordered account committed it on the Hub and it covers the ordered questions."""
    job = claimed(stand)
    order = stand.order("second")
    for account in (CLAIMER, "third"):
        stand.report(order, account)
        assert stand.file(job.path)["status"] == "RUNNING"
    stand.report(order, "second", answers=())
    assert stand.file(job.path)["status"] == "RUNNING"
    stand.report(order, "second")
    assert (stand.file(job.path)["status"], stand.cross_check(job.path)["by"]) == ("FINISHED", ["second"])


@rarely
def test_the_operators_own_workers_are_not_checked(stand: CheckedBoard) -> None:
    """Results of the operator's own account are published without a cross-check."""
    stand.use(WorkerPolicy(owned=(CLAIMER.upper(),)))
    job = stand.started()
    stand.evaluate(job)
    assert (stand.file(job.path)["status"], stand.orders()) == ("FINISHED", [])
    assert "again" not in stand.block(job.path)["checked"]


@rarely
def test_results_without_numbers_of_questions_are_refused(stand: CheckedBoard) -> None:
    """The bot refuses results that do not say how many questions they have, and sets their worker aside."""
    job = stand.started()
    stand.end(job, details=publish(stand.hub.url, job, stand.context.suite))
    assert stand.file(job.path)["steward"]["failure"]["cause"] == "answers-differ"
    (aside,) = stand.context.set_aside.all()
    assert aside.attempt == job.attempt and "how many questions" in aside.reason


@pytest.mark.long("three workers and their answers once more")
def test_results_since_the_last_good_check_are_marked(stand: CheckedBoard) -> None:
    """When an account is set aside, its published results since the last confirmed check are marked as doubted."""
    paths = list[str]()
    for number, status in enumerate(["not-compared", "agrees", "not-compared"]):
        stand.alive = ("second",) if status == "agrees" else ()
        job = stand.started("ada/good", **{"revision": "main"}) if not paths else relaunched(stand, paths[0])
        stand.evaluate(job, number)
        if status == "agrees":
            stand.report(stand.order("second"), "second")
        else:
            stand.pass_time(NO_WORKER_SECONDS + 1)
        assert stand.cross_check(job.path)["status"] == status
        paths.append(job.path)
    stand.alive = ("second", "third")
    job = relaunched(stand, paths[0])
    stand.evaluate(job, 3)
    for account in ("second", "third"):
        order = stand.order(account)
        assert order.cross_check is not None
        stand.report(order, account, order.cross_check.questions)
    stand.pass_time()
    doubted = {path[-11:-5]: stand.block_at(path).get("doubted", "") for path in stand.published()}
    assert [bool(doubted[name]) for name in ("000000", "000001", "000002")] == [False, False, True]
    assert CLAIMER in doubted["000002"]


def relaunched(stand: CheckedBoard, path: str) -> EvaluationJob:
    """Submit the request at `path` again, and return the job that a worker claimed."""
    file = stand.file(path)
    stand.submit("ada/good", path=path, **{**file, "status": "RERUN"})
    stand.worker()
    stand.settle()
    stand.pass_time()
    (job,) = stand.queued()
    assert stand.take(job) is True
    return job


@rarely
def test_answers_of_other_evaluators_are_not_compared(stand: CheckedBoard) -> None:
    """Results of another evaluator are published without a cross-check or recomputed metrics, and say why."""

    def recompute(*folders: Path) -> RecomputedSamples:
        raise AssertionError(f"the tables were downloaded to {folders}")

    stand.context.recomputer = recomputer = MetricsRecomputer(recompute)
    job = stand.started()
    evaluator = Evaluator.model_validate({"name": "embeddings", "version": "1", "command": ["/bin/true"]})
    stand.context.suite = stand.context.suite.model_copy(update={"evaluator": evaluator})
    stand.evaluate(job)
    recomputer.close()
    assert stand.cross_check(job.path)["reason"] == OTHER_EVALUATOR.format(name="embeddings")
    assert stand.block(job.path)["checked"]["not_recomputed"] == OTHER_METRICS.format(name="embeddings")
