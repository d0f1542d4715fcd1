"""Changes without a webhook: comments, disabled webhooks, lost jobs, a lost Redis. The reconciler finds them all."""

from __future__ import annotations

import json
import threading

import pytest

from bot.core.waiting_threads import DIGEST
from bot.processes.reconcile import PERIOD, POLLING
from bot.processes.schedule import PREPARATION_SECONDS, STUCK_IN_RQ_SECONDS, TICK_SECONDS, Schedule
from bot.threads.maintainers_list import READ_SECONDS, TITLE, waiting_threads
from hub.retries import Retries
from localhub.webhooks.store import SUSPENDED
from redis_state import jobs
from redis_state.attempts import LOST, AttemptProgress, AttemptState
from redis_state.board.entry import IndexEntry
from redis_state.dirty import SyncPriority
from redis_state.heartbeats import WorkerCard
from steward.testing.board import REQUESTS, BoardDriver
from steward.testing.waiting import wait_until
from tests.support.board.reconciliation import fill, look, member, state, text_of, webhook


@pytest.mark.long("a board for one more loss that the reconciler mends")
def test_a_comment_that_no_webhook_told_of_is_found_within_the_bound(stand: BoardDriver) -> None:
    """A comment in the newest of 120 threads is found by the next poll, one in the oldest after one poll per page."""
    numbers = [_discussion(stand, f"Question {number}") for number in range(120)]
    pages = 3
    for _ in range(pages):
        look(stand)
    assert not any(route == "thread" for _, route in look(stand))
    for number, bound in ((numbers[-1], PERIOD), (numbers[0], pages * PERIOD)):
        stand.ada.comment_discussion(REQUESTS, number, "Hello?", repo_type="dataset")
        looks = 0
        while ("GET", "thread") not in look(stand):
            looks += 1
            assert looks * PERIOD <= bound
        assert (looks + 1) * PERIOD <= bound
    calls = look(stand)
    assert [route for _, route in calls].count("threads") == 4  # two for the repo with more than a page of them


def test_a_repo_without_discussions_is_no_failure(stand: BoardDriver) -> None:
    """If the Hub refuses to list discussions, the reconciler finds nothing and does not fail."""
    stand.hub.state.faults.fail("GET */board/results/discussions*", status=403, error="Discussions are disabled")
    stand.context.mark("threads:dataset/board/results")
    stand.work()
    assert not stand.context.redis.exists(stand.context.keys.dirty_tries)


def test_records_of_another_version_do_not_keep_the_digest_from_being_written(stand: BoardDriver) -> None:
    """The bot ignores an unknown field in the record of a thread, and leaves out a record with missing fields."""
    valid = {"title": "Hm", "url": "u", "topic": "other", "author": "ada", "since": stand.time, "mood": "blue"}
    for key, noted in (("thread:a", valid), ("thread:b", {"title": "?"})):
        stand.context.redis.hset(stand.context.keys.waiting_threads, key, json.dumps(noted))
    stand.context.mark(DIGEST)
    stand.work()
    assert [thread.title for thread in waiting_threads(stand.context)] == ["Hm"]
    assert [thread.title for thread in stand.threads()] == [TITLE]


def test_a_lost_status_comment_is_written_anew(stand: BoardDriver) -> None:
    """A hidden status comment of a waiting request is written again, once."""
    stand.submit("ada/good")
    look(stand)
    (thread,) = stand.threads()
    opening = thread.events[0].id
    stand.hub.state.accounts.set_member(*member(stand, "ada", "admin"))
    stand.ada.hide_discussion_comment(REQUESTS, thread.num, opening, repo_type="dataset")
    stand.ada.comment_discussion(REQUESTS, thread.num, "Why?", repo_type="dataset")
    for _ in range(3):
        look(stand)
    comments = [
        event
        for discussion in stand.threads()
        for event in discussion.events
        if "Waiting for its turn" in text_of(event)
    ]
    assert len(comments) == 1


@pytest.mark.long("a board for one more loss that the reconciler mends")
def test_a_status_comment_of_a_request_at_its_end_stays_hidden(stand: BoardDriver) -> None:
    """A hidden status comment of an ended request stays hidden: no new comment, no new thread."""
    stand.submit("ada/remote")
    look(stand)
    (thread,) = stand.threads()
    stand.hub.state.accounts.set_member(*member(stand, "ada", "admin"))
    stand.ada.hide_discussion_comment(REQUESTS, thread.num, thread.events[0].id, repo_type="dataset")
    stand.ada.comment_discussion(REQUESTS, thread.num, "Why?", repo_type="dataset")
    for _ in range(3):
        look(stand)
    assert [
        event for discussion in stand.threads() for event in discussion.events if "Not accepted" in text_of(event)
    ] == []
    assert len(stand.threads()) == 1


def _discussion(stand: BoardDriver, title: str) -> int:
    return int(stand.ada.create_discussion(REQUESTS, title, description="?", repo_type="dataset").num)


@pytest.mark.parametrize("how", ["disabled", SUSPENDED])
def test_a_webhook_that_was_switched_off_is_switched_on_and_reported(stand: BoardDriver, how: str) -> None:
    """The next poll enables a webhook that was disabled by hand or suspended by the Hub, and notes it for `/readyz`."""
    hook = webhook(stand)
    look(stand)
    webhooks = stand.hub.state.webhooks
    webhooks.disable(webhooks.get(hook), how)
    assert [listed.disabled for listed in stand.context.hub.webhooks()] == [how]
    look(stand)
    assert [listed.disabled for listed in stand.context.hub.webhooks()] == [None]
    note = stand.context.redis.hget(stand.context.keys.hub_state, "webhook").decode()
    assert hook in note
    assert how in note


def test_without_a_webhook_the_bot_looks_oftener_and_says_why(stand: BoardDriver) -> None:
    """Without a webhook the bot polls every POLLING seconds, and a flag gives the reason."""
    look(stand)
    look(stand, after=READ_SECONDS)
    assert b"No webhook" in stand.context.redis.get(stand.context.keys.webhook_trouble)
    assert ("GET", "refs") in look(stand, after=POLLING)
    webhook(stand)
    look(stand, after=POLLING)
    assert stand.context.redis.get(stand.context.keys.webhook_trouble) is None
    assert look(stand, after=POLLING) == []
    assert ("GET", "refs") in look(stand, after=PERIOD - POLLING)


def test_two_schedulers_make_no_more_rounds_than_one(stand: BoardDriver) -> None:
    """Each scheduler makes a round when it starts; then they share the time of the last round and take turns."""
    webhook(stand)
    other = Schedule(stand.context)
    costs = []
    for schedule, after in ((stand.schedule, 0), (other, 0), (other, PERIOD), (stand.schedule, 0)):
        stand.time += after
        before = len(stand.calls)
        schedule.tick()
        stand.work()
        stand.time += READ_SECONDS
        stand.work()
        costs.append(len(stand.calls) - before)
    assert costs[1:] == [5, 5, 0]


def test_after_redis_is_lost_everything_is_as_before(stand: BoardDriver) -> None:
    """FLUSHALL with requests running, queued, refused and finished: the same files, threads and queue after it."""
    fill(stand, 30)
    job = stand.started()
    stand.submit("ada/remote")
    stand.submit("ada/good", path="ada/good_eval_request_False_bfloat16_Original.json", precision="bfloat16")

    def live() -> object:
        for _ in range(4):
            stand.worker()
            stand.beat(job, 1, 10)
            look(stand, after=10)
        bodies = [[text_of(event).partition("<sub>")[0] for event in thread.events] for thread in stand.threads()]
        queued = [message.attempt for message in stand.queued()]
        return sorted(bodies), stand.commits(), queued, stand.context.index.count(), stand.file(job.path)["status"]

    before = live()
    stand.context.redis.flushall()
    assert live() == before
    assert before[2:] == ([stand.queued()[0].attempt], 33, "RUNNING")


def test_a_request_whose_sync_got_lost_is_marked_again(stand: BoardDriver) -> None:
    """An entry that no sync has judged, and that is not dirty, is synced at the next round."""
    path = stand.submit("ada/good")
    look(stand)
    stand.context.index.put(IndexEntry(path=path))
    assert state(stand, path) == "new"
    look(stand)
    assert state(stand, path) == "waiting"


@pytest.mark.long("a board for one more loss that the reconciler mends")
def test_an_attempt_that_lives_without_its_request_is_looked_into(stand: BoardDriver) -> None:
    """If an attempt with heartbeats belongs to a request that the index shows as settled, a sync corrects the index."""
    job = stand.started()
    entry = stand.context.index.get(job.path)
    stand.context.index.put(entry.model_copy(update={"state": "settled"}))
    later = stand.time + PERIOD
    stand.context.attempts.beat(job.attempt, AttemptProgress("evaluate", 1, 10), now=later, worker="w", path=job.path)
    look(stand)
    assert state(stand, job.path) == "running"


def test_marks_in_bulk_count_like_single_ones(stand: BoardDriver) -> None:
    """A key marked while its sync runs is synced again, also if it was marked among many."""
    dirty = stand.context.dirty
    dirty.mark_all(["a", "b"], due=stand.time, priority=SyncPriority.EVENT)
    claim = dirty.claim(now=stand.time, lease=60)
    assert claim is not None
    dirty.mark_all(["a", "b"], due=stand.time, priority=SyncPriority.EVENT)
    dirty.finish(claim)
    assert len(dirty) == 2


def test_a_job_that_vanished_from_rq_is_queued_again(stand: BoardDriver) -> None:
    """When RQ has lost the job of a PENDING request, the bot queues the same attempt once more."""
    stand.worker()
    stand.submit("ada/good")
    look(stand, after=0)
    (job,) = stand.queued()
    stand.context.redis.delete(*(f"rq:queue:{name}" for name in stand.context.queues))
    assert stand.queued() == []
    for _ in range(20):
        stand.worker()
        look(stand, after=2)
    assert [message.attempt for message in stand.queued()] == [job.attempt]


@pytest.mark.long("a board for one more loss that the reconciler mends")
def test_a_job_whose_worker_still_gets_ready_has_not_vanished(stand: BoardDriver) -> None:
    """The bot queues no second job while a worker loads its libraries, until half an hour has passed."""
    stand.worker()
    stand.submit("ada/good")
    look(stand, after=0)
    (job,) = stand.queued()
    assert any(jobs.recall(stand.context.redis, name, job.attempt) for name in stand.context.queues)

    def pass_time(seconds: float) -> None:
        stand.time += seconds
        for name, doing in (("w", job.attempt), ("idle", "")):
            card = WorkerCard(name=name, tiers=("all",), since=stand.time, beat=stand.time, doing=doing)
            stand.context.workers.announce(card)
        stand.tick()
        stand.work()

    for _ in range(4):
        pass_time(STUCK_IN_RQ_SECONDS)
    assert stand.queued() == []
    for _ in range(2):
        pass_time(PREPARATION_SECONDS)
    assert [one.attempt for one in stand.queued()] == [job.attempt]


def test_a_tick_does_not_overwrite_what_a_sync_stored_meanwhile(
    stand: BoardDriver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A request that is cancelled while the timer looks for its job stays cancelled, and keeps its other new values."""
    stand.worker()
    stand.submit("ada/good")
    look(stand, after=0)
    (job,) = stand.queued()
    stand.context.redis.delete(*(f"rq:queue:{name}" for name in stand.context.queues))
    stand.time += 2 * STUCK_IN_RQ_SECONDS
    stand.tick()
    read = stand.context.attempts.read

    def cancelled_meanwhile(attempt: str) -> AttemptState | None:
        entry = stand.context.index.get(job.path)
        stand.context.index.put(entry.model_copy(update={"state": "settled", "thread": 7}))
        return read(attempt)

    monkeypatch.setattr(stand.context.attempts, "read", cancelled_meanwhile)
    stand.tick()
    entry = stand.context.index.get(job.path)
    assert (entry.state, entry.thread) == ("settled", 7)
    assert stand.context.index.waiting() == ()


def test_a_tick_that_fails_does_not_end_the_timer(stand: BoardDriver, monkeypatch: pytest.MonkeyPatch) -> None:
    """After a tick failed because of malformed data in Redis, the timer goes on, and works once the data is gone."""
    monkeypatch.setattr("bot.processes.schedule.TICK_SECONDS", 0.01)
    redis, keys = stand.context.redis, stand.context.keys
    redis.set(keys.day, "some day")
    timer = threading.Thread(target=stand.schedule.run)
    timer.start()
    try:
        assert wait_until(lambda: redis.hget(keys.rounds, "round"))
        redis.delete(keys.day)
        assert wait_until(lambda: redis.get(keys.day))
    finally:
        stand.schedule.stop()
        timer.join()


def test_a_job_that_a_worker_has_just_got_is_not_lost(stand: BoardDriver) -> None:
    """If the timer ticks after a worker got a job and before it reports that it took it, nothing is queued twice."""
    stand.worker()
    stand.submit("ada/good")
    look(stand, after=0)
    (job,) = stand.queued()
    stand.time += STUCK_IN_RQ_SECONDS
    look(stand, after=TICK_SECONDS)
    for name in stand.context.queues:
        stand.context.redis.delete(f"rq:queue:{name}")
    look(stand, after=TICK_SECONDS)
    assert stand.queued() == []
    assert stand.context.index.get(job.path).state == "queued"
    stand.context.attempts.take(job.attempt, job.path, "w", now=stand.time)
    look(stand, after=TICK_SECONDS)
    assert stand.queued() == []
    assert stand.context.index.get(job.path).state == "running"


@pytest.mark.long("a board for one more loss that the reconciler mends")
def test_a_hub_that_is_away_is_not_hammered_about_a_silent_attempt(stand: BoardDriver) -> None:
    """While the Hub fails, the timer's ticks do not shorten the growing waits of the sync of a silent attempt."""
    job = stand.started()
    stand.context.hub.retries = Retries(attempts=1)
    stand.hub.state.faults.fail("GET */resolve/*", status=503, times=None)
    stand.time += LOST
    calls = [call for _ in range(30) for call in look(stand, after=TICK_SECONDS)]
    assert 2 <= calls.count(("GET", "resolve")) <= 7
    stand.hub.state.faults.clear()
    look(stand, after=PERIOD)
    assert stand.file(job.path)["status"] == "RERUN"
