"""Attempts that a worker handed back are queued again under the same id, and none is forgotten."""

from __future__ import annotations

from leaderboard.budgets import HOUR
from tests.support.board.board_driver import BoardDriver


def test_a_handed_back_attempt_is_queued_again_as_the_same(stand: BoardDriver) -> None:
    """A worker that stops gives its attempt back; the next one gets the same attempt, with no commit in between."""
    job = stand.started()
    commits = stand.commits()
    stand.hand_back(job)
    stand.context.mark(f"request:{job.path}")
    stand.settle()
    (again,) = stand.queued()
    assert again == job
    assert stand.take(again) is True
    assert stand.commits() == commits


def test_a_handed_back_attempt_is_told_its_start_anew(stand: BoardDriver) -> None:
    """The estimate of its start is made anew, and the time for which it ran does not count as waiting."""
    for _ in range(3):
        stand.context.measures.learn(stand.context.suite.name, 1, HOUR)
    job = stand.started()
    assert stand.context.measures.experience().shares == {1: [1]}
    stand.time += 3 * HOUR
    stand.worker()
    stand.hand_back(job)
    stand.context.mark(f"request:{job.path}")
    stand.settle()
    starts = stand.context.index.get(job.path).starts
    assert starts is not None
    assert starts[1] >= stand.time
    (again,) = stand.queued()
    assert stand.take(again) is True
    assert stand.context.measures.experience().shares == {1: [1, 1]}


def test_a_handed_back_attempt_that_loses_its_place_gets_another(stand: BoardDriver) -> None:
    """Looked at while it lies in the queue, recalled, queued again: a request that says RUNNING is not forgotten."""
    job = stand.started()
    stand.hand_back(job)
    for _ in range(2):
        stand.context.mark(f"request:{job.path}")
        stand.settle()
    assert stand.file(job.path)["status"] == "RUNNING"
    assert stand.context.index.get(job.path).state == "queued"
    (card,) = stand.context.workers.alive(now=stand.time)
    stand.context.workers.leave(card.name)
    stand.context.mark("queue")
    stand.settle()
    assert stand.queued() == []
    stand.worker()
    for _ in range(2):
        stand.context.mark(f"request:{job.path}")
        stand.context.mark("queue")
        stand.settle()
    (again,) = stand.queued()
    assert stand.take(again) is True


def test_what_an_older_bot_forgot_in_the_queue_is_found_again(stand: BoardDriver) -> None:
    """The index says that it runs, Redis that it lies in the queue, where it is not: it gets its turn."""
    job = stand.started()
    stand.hand_back(job)
    assert stand.context.attempts.queued(job.attempt, job.path, now=stand.time)
    assert stand.context.index.get(job.path).state == "running"
    stand.context.mark(f"request:{job.path}")
    stand.settle()
    (again,) = stand.queued()
    assert stand.take(again) is True
