"""Syncs and the ledger's commits together: people who edit at the same time, writes that fail, the webhook quota."""

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
from steward.testing.board import REQUESTS, BoardDriver

LOGS = Repo("dataset", "board/logs")
COMMIT_LOG = "POST /api/datasets/board/logs/commit/main"
COMMIT_REQUEST = "POST /api/datasets/board/requests/commit/main"
SPEAK = "POST /api/datasets/board/requests/discussions*"
CORRUPTED = Failure(cause="weights-corrupted", fault="submission", message="The weights are cut off.", advice="Again.")


def queued(stand: BoardDriver) -> jobs.EvaluationJob:
    """Submit a request, let the bot accept it, and return its job in RQ."""
    stand.worker()
    stand.submit("ada/good")
    stand.settle()
    (job,) = stand.queued()
    return job


def taken(stand: BoardDriver, job: jobs.EvaluationJob) -> None:
    """Have a worker take `job` and the sync stage the claim, but not the ledger commit it."""
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
    """Return the text of the status comment."""
    (thread,) = stand.threads()
    text: str = thread.events[0].content
    return text


def test_a_person_who_edits_another_field_during_the_claim_keeps_the_change(stand: BoardDriver) -> None:
    """If a person changes another field during the claim, the file has that change and RUNNING with the attempt."""
    job = queued(stand)
    taken(stand, job)
    person_sets(stand, job.path, params=7.2)
    stand.settle()
    file = stand.file(job.path)
    assert (file["status"], file["job_id"], file["params"]) == ("RUNNING", job.attempt, 7.2)
    assert stand.answer(job) is True


def test_a_person_who_cancels_during_the_claim_wins(stand: BoardDriver) -> None:
    """If a person cancels during the claim, the bot makes no commit after that, and refuses the worker's claim."""
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
    """If a person asks for another commit during the claim, the bot refuses the claim and queues the request anew."""
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
    """While an edit waits for the commit budget, the bot handles events on its request without a call of the Hub."""
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


def test_an_end_is_written_to_the_log_then_the_thread_then_the_file(stand: BoardDriver) -> None:
    """The bot posts a failure only after the log's commit, and the file stays RUNNING until its own commit succeeds."""
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


@pytest.mark.long("a board for one more order of its edits")
@pytest.mark.parametrize("moment", ["after the log", "before the log", "after the thread"])
def test_an_empty_redis_in_the_middle_of_an_end_leads_to_the_same_end(stand: BoardDriver, moment: str) -> None:
    """If Redis is lost while an end is written, the bot still leaves one log, a comment, and FAILED with its cause."""
    job = stand.started()
    stand.context.hub.retries = Retries(attempts=1)
    held_up = COMMIT_LOG if moment == "before the log" else COMMIT_REQUEST
    if moment == "after the log":
        stand.hub.state.faults.fail(SPEAK, status=503, times=1)
    stand.hub.state.faults.fail(held_up, status=503, times=1)
    stand.end(job, failure=CORRUPTED)
    stand.hub.state.faults.clear()
    stand.context.redis.flushall()
    stand.context.attempts.take(job.attempt, job.path, "w", now=stand.time)  # the worker reports its end once more
    stand.end(job, failure=CORRUPTED)
    file = stand.file(job.path)
    assert (file["status"], file["steward"]["failure"]["cause"]) == ("FAILED", "weights-corrupted")
    assert "The weights are cut off." in opening_post(stand)
    mine = [entry for entry in stand.context.hub.commits(LOGS) if entry.authors == ("steward-bot",)]
    assert len(mine) == 1


@pytest.mark.long("a board for one more order of its edits")
def test_progress_goes_silent_first_when_the_webhooks_day_runs_out(stand: BoardDriver) -> None:
    """When the bot's share of the daily deliveries is half used, it posts no progress, but still posts an end."""
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
    """With nothing left of the daily webhook quota, the bot writes an end to thread and file only when it has more."""
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


@pytest.mark.long("a board for one more order of its edits")
@pytest.mark.parametrize("spent", [500, 450])
def test_a_withdrawal_is_told_like_every_end_when_the_webhooks_day_runs_out(stand: BoardDriver, spent: int) -> None:
    """The bot takes a cancelled job out of RQ at once, and posts the cancellation when the webhook quota allows."""
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
    """If the Hub forbids all posts in discussions, the bot still sets the file to FAILED and settles the request."""
    stand.hub.state.faults.fail(SPEAK, status=403, times=None, error="Discussions are disabled for this repo")
    path = stand.submit("ada/remote")
    stand.settle()
    assert stand.file(path)["status"] == "FAILED"
    assert stand.context.index.get(path).state == "settled"


def test_opening_a_thread_costs_two_calls_however_many_there_are(stand: BoardDriver) -> None:
    """Once the bot has read the list of its threads, it opens another after reading only the newest page."""
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


@pytest.mark.long("a board for one more order of its edits")
@pytest.mark.parametrize("all_of_redis", [True, False])
def test_a_thread_whose_number_was_never_noted_is_found_again(stand: BoardDriver, all_of_redis: bool) -> None:
    """If the index lost a thread's number, the bot finds the same thread and edits it, and opens no second one."""
    job = queued(stand)
    (thread,) = stand.threads()
    if all_of_redis:
        stand.context.redis.flushall()
    entry = stand.context.index.get(job.path)
    stand.context.index.put(entry.model_copy(update={"thread": None, "comment": None, "said": "", "state": "new"}))
    for _ in range(2):  # after a loss of Redis the first sync admits, the second one claims
        stand.context.attempts.take(job.attempt, job.path, "w", now=stand.time)
        stand.context.mark(f"request:{job.path}")
        stand.settle()
    assert [discussion.num for discussion in stand.threads()] == [thread.num]
    assert "Being evaluated" in opening_post(stand)
    assert stand.context.index.get(job.path).thread == thread.num


def test_a_board_without_threads_never_waits_for_the_webhooks_day(stand: BoardDriver) -> None:
    """A board without threads writes an end at once, even if nothing is left of the webhook quota."""
    stand.context.board = stand.context.board.model_copy(update={"threads": "never"})
    for _ in range(500):
        stand.context.webhook_quota.caused("discussion", REQUESTS, now=stand.time)
    path = stand.submit("ada/remote")
    stand.settle()
    assert stand.file(path)["status"] == "FAILED"
    assert stand.threads() == []


def test_the_commits_an_hour_are_a_setting(settings: BotSettings, stand: BoardDriver) -> None:
    """The ledger of a sync process keeps to the operator's `commits_per_hour`."""
    changes = {"commits_per_hour": 7, "bot_token": SecretStr("hf_bot"), "hf_endpoint": stand.hub.url}
    context = open_board_context(settings.model_copy(update=changes))
    assert context.ledger.budget.limits == Commits(hour=7)
    context.hub.close()


def test_readyz_says_why_webhooks_are_not_relied_on(web: httpx2.Client, connection: redis.Redis) -> None:
    """When the webhook quota runs out, `/readyz` explains it in a sentence and still answers 200."""
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
    """Each write of the bot counts as one of the day's deliveries, an edit or status without a change as none."""
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
