"""Syncs and the ledger together: people who edit at the same time, writes that fail half way, saved deliveries."""

from __future__ import annotations

import json
from typing import Any

import httpx2
import pytest
import redis
from pydantic import SecretStr

from bot.core.settings import BotSettings
from bot.processes.sync_process import open_board_context
from bot.queue import rulings
from hub.budget import HOUR, Commits
from hub.records import Repo
from hub.retries import Retries
from leaderboard.attempts import Failure
from redis_state import clock, jobs
from redis_state.keys import Keys
from redis_state.webhook_quota import WebhookQuota
from tests.support.board.board_driver import REQUESTS, BoardDriver
from tests.support.sizes import first, one_in

pytestmark = one_in(3)
LOGS = Repo("dataset", "board/logs")
COMMIT_LOG = "POST /api/datasets/board/logs/commit/main"
COMMIT_REQUEST = "POST /api/datasets/board/requests/commit/main"
SPEAK = "POST /api/datasets/board/requests/discussions*"
CORRUPTED = Failure(cause="weights-corrupted", fault="submission", message="The weights are cut off.", advice="Again.")


def queued(stand: BoardDriver) -> jobs.EvaluationJob:
    """An accepted request, whose job lies in RQ."""
    stand.worker()
    stand.submit("ada/good")
    stand.settle()
    (job,) = stand.queued()
    return job


def taken(stand: BoardDriver, job: jobs.EvaluationJob) -> None:
    """A worker took `job`; the sync staged the claim, and the ledger did not write it yet."""
    stand.context.attempts.take(job.attempt, job.path, "w", now=stand.time)
    key = f"request:{job.path}"
    stand.context.mark(key)
    claim = stand.context.dirty.claim(now=stand.time, lease=60)
    while claim is not None and claim.key != key:
        stand.loop.sync(claim)
        claim = stand.context.dirty.claim(now=stand.time, lease=60)
    assert claim is not None
    stand.loop.sync(claim)
    assert stand.context.ledger.edits.is_pending(job.path)


def person_sets(stand: BoardDriver, path: str, **fields: Any) -> None:
    """Commit the file with other fields, as a person does."""
    stand.put(path, json.dumps({**stand.file(path), **fields}).encode())


def opening_post(stand: BoardDriver) -> str:
    """What the status comment says."""
    (thread,) = stand.threads()
    text: str = thread.events[0].content
    return text


def test_a_person_who_edits_another_field_during_the_claim_keeps_the_change(stand: BoardDriver) -> None:
    """Both are in the file: RUNNING with the attempt, and what the person wrote."""
    job = queued(stand)
    taken(stand, job)
    person_sets(stand, job.path, params=7.2)
    stand.settle()
    file = stand.file(job.path)
    assert (file["status"], file["job_id"], file["params"]) == ("RUNNING", job.attempt, 7.2)
    assert stand.answer(job) is True


def test_a_person_who_cancels_during_the_claim_wins(stand: BoardDriver) -> None:
    """The file says CANCELLED, the bot makes no commit after it, and the worker's claim is refused."""
    job = queued(stand)
    taken(stand, job)
    person_sets(stand, job.path, status="CANCELLED")
    commits = stand.commits()
    stand.settle()
    stand.time += 2
    stand.settle()
    assert stand.file(job.path)["status"] == "CANCELLED"
    assert stand.commits() == commits
    assert stand.answer(job) is False


def test_a_person_who_asks_for_another_commit_during_the_claim_gets_a_new_attempt(stand: BoardDriver) -> None:
    """The old attempt's worker is sent away, and the request is judged and queued anew at the other commit."""
    job = queued(stand)
    taken(stand, job)
    other = stand.ada.upload_file(path_or_fileobj=b"note", path_in_repo="note.txt", repo_id="ada/good").oid
    person_sets(stand, job.path, steward={"attempt": 1, "revision": other})
    stand.settle()
    stand.time += 2
    stand.settle()
    assert stand.answer(job) is False
    assert other in {queued.revision for queued in stand.queued()}


def test_while_an_edit_waits_its_request_costs_no_call(stand: BoardDriver) -> None:
    """Once the commit budget is spent for the moment, events on a request whose edit waits are free."""
    job = queued(stand)
    commits = {str(number): stand.time for number in range(20)}
    stand.context.redis.zadd(stand.context.keys.commits(REQUESTS), commits)
    taken(stand, job)
    stand.work()
    assert stand.file(job.path)["status"] == "PENDING"
    before = len(stand.calls)
    for _ in range(5):
        stand.context.mark(f"request:{job.path}")
        stand.work()
    assert stand.calls[before:] == []
    stand.time += 10
    stand.work()
    assert stand.file(job.path)["status"] == "RUNNING"
    assert stand.answer(job) is True


def test_the_thread_is_told_only_once_the_log_is_kept_and_the_file_last(stand: BoardDriver) -> None:
    """Without a commit in the logs repo nothing is said; without one in the requests repo the file stays RUNNING."""
    job = stand.started()
    stand.context.hub.retries = Retries(attempts=1)
    faults = stand.hub.state.faults
    faults.fail(COMMIT_LOG, status=503, times=1)
    stand.end(job, failure=CORRUPTED)
    assert "Being evaluated" in opening_post(stand)
    faults.fail(COMMIT_REQUEST, status=503, times=1)
    stand.time += 5
    stand.work()
    assert "The weights are cut off." in opening_post(stand)
    assert stand.file(job.path)["status"] == "RUNNING"
    stand.time += 5
    stand.work()
    assert stand.file(job.path)["status"] == "FAILED"


@pytest.mark.parametrize("moment", first(1, ["after the log", "before the log", "after the thread"]))
def test_an_empty_redis_in_the_middle_of_an_end_leads_to_the_same_end(stand: BoardDriver, moment: str) -> None:
    """After Redis is lost half way there is one log, one comment, and FAILED with the reason that is still known."""
    job = stand.started()
    stand.context.hub.retries = Retries(attempts=1)
    held_up = COMMIT_LOG if moment == "before the log" else COMMIT_REQUEST
    if moment == "after the log":
        stand.hub.state.faults.fail(SPEAK, status=503, times=1)
    stand.hub.state.faults.fail(held_up, status=503, times=1)
    stand.end(job, failure=CORRUPTED)
    stand.hub.state.faults.clear()
    stand.context.redis.flushall()
    stand.context.attempts.take(job.attempt, job.path, "w", now=stand.time)  # the worker tells its end once more
    stand.end(job, failure=CORRUPTED)
    file = stand.file(job.path)
    assert (file["status"], file["steward"]["failure"]["cause"]) == ("FAILED", "weights-corrupted")
    assert "The weights are cut off." in opening_post(stand)
    mine = [entry for entry in stand.context.hub.commits(LOGS) if entry.authors == ("steward-bot",)]
    assert len(mine) == 1


def test_progress_goes_silent_first_when_the_webhooks_day_runs_out(stand: BoardDriver) -> None:
    """Below half of our share progress is not told; an end is."""
    job = stand.started()
    for _ in range(260):
        stand.context.webhook_quota.caused("discussion", REQUESTS, now=stand.time)
    stand.beat(job, 30, 100)
    before = stand.calls.count(("POST", "comment-edit"))
    stand.context.mark(f"request:{job.path}")
    stand.work()
    assert stand.calls.count(("POST", "comment-edit")) == before
    stand.end(job, failure=CORRUPTED)
    assert stand.calls.count(("POST", "comment-edit")) == before + 1
    assert stand.file(job.path)["status"] == "FAILED"


def test_with_nothing_left_of_the_webhooks_day_an_end_is_told_later(stand: BoardDriver) -> None:
    """The thread and the file wait for the next deliveries that are ours; then both say it."""
    job = stand.started()
    for _ in range(500):
        stand.context.webhook_quota.caused("discussion", REQUESTS, now=stand.time)
    before = stand.calls.count(("POST", "comment-edit"))
    stand.end(job, failure=CORRUPTED)
    assert stand.calls.count(("POST", "comment-edit")) == before
    assert stand.file(job.path)["status"] == "RUNNING"
    stand.time += 25 * HOUR
    stand.work()
    assert stand.calls.count(("POST", "comment-edit")) == before + 1
    assert stand.file(job.path)["status"] == "FAILED"


@pytest.mark.parametrize("spent", first(1, [500, 450]))
def test_a_withdrawal_is_told_like_every_end_when_the_webhooks_day_runs_out(stand: BoardDriver, spent: int) -> None:
    """With little left its comment is still edited, with nothing left later; it is given to no worker meanwhile."""
    job = queued(stand)
    for _ in range(spent):
        stand.context.webhook_quota.caused("discussion", REQUESTS, now=stand.time)
    assert rulings.cancel(stand.context, job.path, "The authors asked for it.", "maya").done
    stand.settle()
    assert (stand.context.index.get(job.path).state, stand.queued()) == ("settled", [])
    assert ("Cancelled" in opening_post(stand)) == (spent < 500)
    stand.time += 25 * HOUR
    stand.work()
    assert "Cancelled" in opening_post(stand)


def test_where_the_bot_may_not_speak_the_file_still_says_it(stand: BoardDriver) -> None:
    """A Hub that forbids every word in threads keeps no request from its end."""
    stand.hub.state.faults.fail(SPEAK, status=403, times=None, error="Discussions are disabled for this repo")
    path = stand.submit("ada/remote")
    stand.settle()
    assert stand.file(path)["status"] == "FAILED"
    assert stand.context.index.get(path).state == "settled"


def test_opening_a_thread_costs_two_calls_however_many_there_are(stand: BoardDriver) -> None:
    """Once the list of our threads was read, opening another takes its newest page and the thread itself."""
    hub, repo = stand.context.hub, stand.context.requests
    for number in range(120):
        hub.open_thread(
            repo, f"Evaluation of x/{number} (p)", "x", stand.context.marker("status", str(number)), looked=True
        )
    stand.submit("ada/remote")
    stand.settle()
    stand.submit("ada/strange")
    before = len(stand.calls)
    stand.settle()
    routes = [route for _, route in stand.calls[before:]]
    assert (routes.count("threads"), routes.count("thread"), routes.count("thread-open")) == (1, 0, 1)
    titles = {thread.title for thread in stand.form.get_repo_discussions(REQUESTS, repo_type="dataset")}
    assert {"Evaluation of ada/remote (float32)", "Evaluation of ada/strange (float32)"} <= titles


@pytest.mark.parametrize("all_of_redis", first(1, [True, False]))
def test_a_thread_whose_number_was_never_noted_is_found_again(stand: BoardDriver, all_of_redis: bool) -> None:
    """Dead after opening a thread, or Redis lost: the same thread is told on, no second one is opened."""
    job = queued(stand)
    (thread,) = stand.threads()
    if all_of_redis:
        stand.context.redis.flushall()
    entry = stand.context.index.get(job.path)
    stand.context.index.put(entry.model_copy(update={"thread": None, "comment": None, "said": "", "state": "new"}))
    for _ in range(2):  # where nothing is known any more the first look admits, the second claims
        stand.context.attempts.take(job.attempt, job.path, "w", now=stand.time)
        stand.context.mark(f"request:{job.path}")
        stand.settle()
    assert [discussion.num for discussion in stand.threads()] == [thread.num]
    assert "Being evaluated" in opening_post(stand)
    assert stand.context.index.get(job.path).thread == thread.num


def test_a_board_without_threads_never_waits_for_the_webhooks_day(stand: BoardDriver) -> None:
    """Where nothing is said no delivery is needed: an end is written although none is left."""
    stand.context.board = stand.context.board.model_copy(update={"threads": "never"})
    for _ in range(500):
        stand.context.webhook_quota.caused("discussion", REQUESTS, now=stand.time)
    path = stand.submit("ada/remote")
    stand.settle()
    assert stand.file(path)["status"] == "FAILED"
    assert stand.threads() == []


def test_the_commits_an_hour_are_a_setting(settings: BotSettings, stand: BoardDriver) -> None:
    """What the operator allows is what the ledger of a sync process keeps to."""
    changes = {"commits_per_hour": 7, "bot_token": SecretStr("hf_bot"), "hf_endpoint": stand.hub.url}
    context = open_board_context(settings.model_copy(update=changes))
    assert context.ledger.budget.limits == Commits(hour=7)
    context.hub.close()


def test_readyz_says_why_webhooks_are_not_relied_on(web: httpx2.Client, connection: redis.Redis) -> None:
    """A quota that runs out is shown in words, and is no reason to be out of service."""
    assert web.get("/readyz").json()["polling"] == ""
    keys = Keys("demo")
    webhook_quota = WebhookQuota(connection, keys)
    for _ in range(700):
        webhook_quota.caused("repo.content", REQUESTS, now=clock.now())
    webhook_quota.judge(now=clock.now())
    connection.hset(keys.hub_state, "answered", 3e12)
    answer = web.get("/readyz")
    assert answer.status_code == 200
    assert "700 of 1,000 deliveries about repo.content of board/requests" in answer.json()["polling"]


def test_every_write_in_a_thread_is_counted_once(stand: BoardDriver) -> None:
    """Each write of the bot counts as one of the day's deliveries; an edit without a change does not count."""
    context, gate, marker = stand.context, stand.context.effects, stand.context.marker("test", "x")

    def counted() -> int:
        return context.webhook_quota.counts(now=stand.time).get(("own", "discussion", REQUESTS), 0)

    number = gate.open_thread(context.requests, "Hello", "One", marker)
    assert (number is not None, counted()) == (True, 1)
    comment = gate.comment(context.requests, number, "Two", context.marker("test", "y"))
    assert (comment is not None, counted()) == (True, 2)
    for outcome in ("done", "same"):
        present_text = context.hub.thread(context.requests, number).comments[-1].text
        edit = gate.edit_comment(
            context.requests, number, comment.id, "Three", context.marker("test", "y"), seen=present_text
        )
        assert (edit, counted()) == (outcome, 3)
    for _ in range(2):
        assert gate.set_status(context.requests, number, "closed", marker)
    assert counted() == 4
