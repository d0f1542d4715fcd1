"""Attempts that a worker handed back are queued again under the same id, and none is lost."""

from __future__ import annotations

from leaderboard.budgets import HOUR
from steward.testing.board import BoardDriver


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


def test_a_handed_back_attempt_gets_a_new_estimate_of_its_start(stand: BoardDriver) -> None:
    """The bot estimates the start of a handed-back attempt anew, and does not count its running time as waiting."""
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
    """Without workers the bot takes a handed-back attempt out of the queue, and queues it again when a worker comes."""
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
    """The bot queues an attempt that Redis shows as queued and the index as running, but that is not in the queue."""
    job = stand.started()
    stand.hand_back(job)
    assert stand.context.attempts.queued(job.attempt, job.path, now=stand.time)
    assert stand.context.index.get(job.path).state == "running"
    stand.context.mark(f"request:{job.path}")
    stand.settle()
    (again,) = stand.queued()
    assert stand.take(again) is True
