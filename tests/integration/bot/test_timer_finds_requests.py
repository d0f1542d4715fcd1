"""Requests whose sync no event would start: the timer finds each of them again."""

from __future__ import annotations

import json
from typing import Any

import pytest

from bot.evaluations.restore_deleted import CHECK_SECONDS
from bot.requests.relaunching import relaunch
from bot.threads.threads import sync_thread
from hub.errors import Denied
from leaderboard.failures import cause
from redis_state.attempts import RETENTION
from redis_state.board.entry import IndexEntry
from steward.testing.board import BoardDriver
from tests.support.board.published_details import publish


def live(stand: BoardDriver, seconds: float, *, step: float = 10, job: Any = None) -> None:
    """Let time pass, with a worker that is alive, ticks of the timer, and syncs."""
    for _ in range(int(seconds // step)):
        stand.time += step
        stand.worker()
        stand.tick()
        stand.work()


def test_a_request_is_relaunched_while_its_results_are_put_back(stand: BoardDriver) -> None:
    """A relaunched request is queued although the edit that restores its earlier results still has to wait."""
    job = stand.started()
    stand.end(job, details=publish(stand.hub.url, job, stand.context.suite))
    live(stand, CHECK_SECONDS, step=CHECK_SECONDS)
    stand.form.delete_file(
        stand.file(job.path)["steward"]["results"], "board/results", repo_type="dataset", commit_message="Tidy up"
    )
    stand.context.ledger.budget.pause(stand.context.results, CHECK_SECONDS + 300)
    live(stand, CHECK_SECONDS, step=CHECK_SECONDS)
    assert stand.context.ledger.edits.repos() == {"board/results": 1}
    relaunch(stand.context, stand.context.index.get(job.path), cause="comment:1")
    live(stand, 60)
    assert [message.path for message in stand.queued()] == [job.path]


@pytest.mark.long("a board for one more loss that the timer mends")
def test_what_is_staged_is_written_once_the_token_is_good_again(
    stand: BoardDriver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Edits that the Hub refused until their syncs were parked are committed once the Hub accepts commits again."""
    job = stand.started()

    def refused(*_: Any, **__: Any) -> None:
        raise Denied("403", status=403)

    with monkeypatch.context() as patch:
        patch.setattr(stand.context.hub, "commit", refused)
        stand.end(job, failure=cause("time-limit").failure(""))
        live(stand, 600, step=2)
        assert [parked.key for parked in stand.context.parking.all()]
    live(stand, 180)
    assert stand.file(job.path)["status"] == "FAILED"
    assert stand.context.parking.all() == []


@pytest.mark.long("a board for one more loss that the timer mends")
def test_what_landed_behind_an_error_is_no_failed_publication(stand: BoardDriver) -> None:
    """If the Hub reported an error for a worker's commit that it made, the bot accepts the published details."""
    job = stand.started()
    publish(stand.hub.url, job, stand.context.suite)
    stand.end(job, failure=cause("publication-failed").failure("broke off"))
    live(stand, 30)
    assert stand.file(job.path)["status"] == "FINISHED"


def test_an_outage_of_redis_and_the_bot_loses_no_attempt(stand: BoardDriver) -> None:
    """After an outage of Redis and the bot, workers get time for a heartbeat before their attempts count as lost."""
    job = stand.started()
    for _ in range(10):
        stand.time += 10
        stand.beat(job, 1, 10)
        stand.worker()
        stand.tick()
        stand.work()
    stand.time += 60
    stand.schedule.tick()
    stand.work()
    stand.time += 1
    assert stand.beat(job, 2, 10)
    live(stand, 20)
    assert stand.file(job.path)["status"] == "RUNNING"


def test_who_was_cancelled_while_redis_was_lost_is_told(stand: BoardDriver) -> None:
    """After a loss of Redis, the worker of a cancelled request learns by a heartbeat that it has to stop."""
    job = stand.started()
    stand.put(job.path, json.dumps({**stand.file(job.path), "status": "CANCELLED"}).encode())
    stand.context.redis.flushall()
    for number in range(30):
        stand.time += 10
        if not stand.beat(job, number, 100):
            break
        stand.worker()
        stand.tick()
        stand.work()
    else:
        pytest.fail("the worker was never told")


@pytest.mark.long("a board for one more loss that the timer mends")
def test_what_was_handed_back_is_remembered_for_longer_than_a_day(stand: BoardDriver) -> None:
    """An attempt that was handed back stays in the queue for two days without a worker, and does not count as lost."""
    job = stand.started()
    stand.hand_back(job)
    for card in stand.context.workers.alive(now=stand.time):
        stand.context.workers.leave(card.name)
    stand.context.mark(f"request:{job.path}")
    stand.settle()
    assert stand.context.redis.ttl(stand.context.keys.attempt(job.attempt)) > 2 * RETENTION
    stand.context.attempts.queued(job.attempt, job.path, now=stand.time)
    assert stand.context.redis.ttl(stand.context.keys.attempt(job.attempt)) > 2 * RETENTION


def test_a_cancel_by_hand_is_seen_while_a_request_waits_to_be_tried_again(stand: BoardDriver) -> None:
    """The bot syncs a request that was cancelled on the Hub at once, even if its next try is minutes away."""
    job = stand.started()
    stand.end(job, failure=cause("canary-failed").failure("x"))
    for _ in range(4):
        stand.settle()
    assert stand.context.index.get(job.path).again > stand.time + 300
    stand.put(job.path, json.dumps({**stand.file(job.path), "status": "CANCELLED"}).encode())
    stand.settle()
    assert stand.context.index.get(job.path).standing.status == "CANCELLED"


def test_a_look_at_a_thread_undoes_nothing_that_came_of_its_request(
    stand: BoardDriver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A sync of the thread that runs while another sync admits the relaunched request keeps the new state."""
    job = stand.started()
    stand.end(job, failure=cause("time-limit").failure(""))
    stand.settle()
    entry = stand.context.index.get(job.path)
    assert entry.thread is not None
    stand.context.index.put(entry.model_copy(update={"comment": None}))
    relaunch(stand.context, entry, cause="comment:1")
    for card in stand.context.workers.alive(now=stand.time):
        stand.context.workers.leave(card.name)
    real, asked = stand.context.hub.me, list[str]()

    def me() -> Any:
        asked.append("me")
        if len(asked) == 1:
            stand.work()
        return real()

    monkeypatch.setattr(stand.context.hub, "me", me)
    stand.context.redis.hdel(stand.context.keys.hub_state, "me")
    sync_thread(stand.context, stand.context.requests, entry.thread)
    assert asked
    assert stand.context.index.get(job.path).state == "waiting"


def test_what_is_noted_beside_a_sync_undoes_nothing_of_it(stand: BoardDriver) -> None:
    """A change of an index entry that races with a sync is made again on what the sync wrote."""
    path = stand.submit("ada/good")
    stand.settle()
    index, tries = stand.context.index, list[str]()

    def noted(entry: IndexEntry) -> IndexEntry:
        tries.append(entry.state)
        if len(tries) == 1:
            index.put(entry.model_copy(update={"state": "settled"}))
        return entry.model_copy(update={"comment": "c1"})

    index.change(path, noted)
    assert len(tries) == 2
    assert (index.get(path).state, index.get(path).comment) == ("settled", "c1")
    index.change("nobody/x_eval_request_False_float32_Original.json", noted)
    assert len(tries) == 2
