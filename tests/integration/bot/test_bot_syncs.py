"""Syncs against a real Hub protocol and a real queue server: what the bot does about requests, seen from outside."""

from __future__ import annotations

import json
from typing import Any

import pytest
from huggingface_hub import CommitOperationAdd

from hub.records import Repo
from leaderboard.attempts import Details, Failure
from steward.testing.board import REQUESTS, BoardDriver


def test_an_accepted_request_waits_in_one_thread_and_is_queued_for_a_worker(stand: BoardDriver) -> None:
    """The bot accepts a good submission without a commit, opens one thread, and queues a job at the model's commit."""
    stand.worker()
    path = stand.submit("ada/good")
    stand.settle()
    assert stand.file(path)["status"] == "PENDING"
    assert stand.commits() == 2
    (job,) = stand.queued()
    assert job.revision == stand.ada.model_info("ada/good").sha
    (thread,) = stand.threads()
    assert "Waiting for its turn" in thread.events[0].content
    assert len(thread.events) == 1


def test_without_a_worker_a_request_waits_and_is_queued_when_one_comes(stand: BoardDriver) -> None:
    """The bot puts nothing into RQ before a worker announces itself, and then queues the request."""
    stand.submit("ada/good")
    stand.settle()
    assert stand.queued() == []
    stand.worker()
    stand.tick()
    stand.settle()
    assert len(stand.queued()) == 1


REFUSED = [
    ("ada/remote", {}, "remote-code-needed", "trust\\_remote\\_code"),
    ("ada/strange", {}, "unknown-architecture", "zork"),
    ("ada/pickled", {}, "weights-not-safetensors", "safetensors"),
    ("ada/nothing-there", {}, "model-not-found", "no model ada/nothing-there"),
    ("ada/good", {"revision": "nightly"}, "revision-not-found", "nightly"),
    ("ada/good", {"revision": 7}, "field", "revision"),
    ("ada/good", {"model": "ada/other"}, "place", "ada/other"),
]


@pytest.mark.parametrize(("model", "changes", "cause", "words"), REFUSED)
def test_a_refused_request_says_why_in_its_file_and_its_thread(
    stand: BoardDriver, model: str, changes: dict[str, Any], cause: str, words: str
) -> None:
    """The bot writes FAILED with cause and fault to the file and the reason to the thread, and queues nothing."""
    stand.worker()
    path = stand.submit(model, **changes)
    stand.settle()
    file = stand.file(path)
    assert file["status"] == "FAILED"
    assert (file["steward"]["failure"]["cause"], file["steward"]["failure"]["fault"]) == (cause, "submission")
    assert file["mystery"] == [1, "é"]
    (thread,) = stand.threads()
    assert file["steward"]["thread"] == thread.num
    assert "Not accepted" in thread.events[0].content
    assert words in thread.events[0].content.replace("\u200b", "")
    assert stand.queued() == []
    assert stand.commits() == 3


def test_a_model_that_the_law_forbids_is_refused_as_one_that_is_switched_off(stand: BoardDriver) -> None:
    """If the Hub answers 451 for a model, its request becomes FAILED with the cause `model-disabled`."""
    stand.hub.state.faults.fail("GET /api/models/ada/good/*", status=451, times=None)
    path = stand.submit("ada/good")
    stand.settle()
    file = stand.file(path)
    assert (file["status"], file["steward"]["failure"]["cause"]) == ("FAILED", "model-disabled")


UNREADABLE = [
    ("not json", None, b"{", "not JSON"),
    ("large", None, b" " * 200_000 + b"{}", "larger than 100,000 bytes"),
    (
        "deep",
        "a/b/c_eval_request_False_float32_Original.json",
        b'{"model": "a/b", "status": "PENDING"}',
        "name or folder",
    ),
]


@pytest.mark.parametrize(("name", "path", "raw", "words"), UNREADABLE)
def test_a_file_that_cannot_be_read_is_told_about_and_disturbs_nobody(
    stand: BoardDriver, name: str, path: str | None, raw: bytes, words: str
) -> None:
    """The bot opens one thread with the reason, and queues the good request beside the unreadable file."""
    stand.worker()
    stand.submit("ada/bad", path=path, raw=raw)
    stand.submit("ada/good")
    stand.settle()
    bodies = [thread.events[0].content for thread in stand.threads()]
    assert sum(words in body for body in bodies) == 1
    assert [job.model for job in stand.queued()] == ["ada/good"]
    before = len(stand.calls)
    stand.context.mark("request:ada/bad_eval_request_False_float32_Original.json")
    stand.settle()
    assert ("POST", "thread-open") not in stand.calls[before:]


def test_the_claim_is_one_commit_and_the_comment_is_edited_in_place(stand: BoardDriver) -> None:
    """The claim and the end of an attempt are one commit each, and the bot edits the same comment for each state."""
    job = stand.started()
    file = stand.file(job.path)
    assert (file["status"], file["job_id"]) == ("RUNNING", job.attempt)
    assert (file["steward"]["attempt"], file["steward"]["revision"]) == (1, job.revision)
    assert "Being evaluated" in stand.threads()[0].events[0].content
    failure = Failure(
        cause="weights-corrupted", fault="submission", message="The weights are cut off.", advice="Again."
    )
    stand.end(job, failure=failure)
    file = stand.file(job.path)
    assert file["status"] == "FAILED"
    assert file["steward"]["failure"] == failure.model_dump()
    assert stand.commits() == 4  # the repo's first one, and the three
    (thread,) = stand.threads()
    assert len([event for event in thread.events if event.type == "comment"]) == 1
    assert "The weights are cut off." in thread.events[0].content
    log = stand.context.hub.read_file(Repo("dataset", "board/logs"), f"ada/good/{job.attempt}/log.txt")
    assert log.data == b"the last line of the log"
    assert file["steward"]["log"].endswith(f"ada/good/{job.attempt}/log.txt")


def test_progress_is_shown_at_quarters_and_only_then(stand: BoardDriver) -> None:
    """Heartbeats between two quarters edit nothing; crossing one edits the comment once."""
    job = stand.started()
    for count, edits in ((10, 0), (24, 0), (26, 1), (40, 0), (51, 1), (99, 1)):
        stand.beat(job, count, 100)
        before = stand.calls.count(("POST", "comment-edit"))
        stand.tick()
        stand.settle()
        stand.context.mark(f"request:{job.path}")
        stand.settle()
        assert stand.calls.count(("POST", "comment-edit")) - before == edits, count


def test_cancelled_in_the_file_stops_the_worker(stand: BoardDriver) -> None:
    """If a person writes CANCELLED into the file, it stays so, and the next heartbeat tells the worker to stop."""
    job = stand.started()
    stand.beat(job)
    stand.put(job.path, json.dumps({**stand.file(job.path), "status": "CANCELLED"}).encode())
    stand.settle()
    assert not stand.beat(job, 2, 2)
    stand.end(job, failure=Failure(cause="cancelled", fault="submission", message="Cancelled."))
    assert stand.file(job.path)["status"] == "CANCELLED"


@pytest.mark.parametrize("job_id", ["0123456789ab-cccccccc-1", 4711, "4711"])
def test_another_backends_evaluation_is_left_alone(stand: BoardDriver, job_id: object) -> None:
    """If the file is RUNNING with another backend's job id, the bot opens no thread and edits nothing."""
    path = stand.submit("ada/good", status="RUNNING", job_id=job_id)
    stand.settle()
    assert stand.file(path)["job_id"] == job_id
    assert stand.threads() == []
    assert stand.commits() == 2


def test_results_that_are_not_what_was_promised_are_not_copied(stand: BoardDriver) -> None:
    """If the worker's outcome names another details repo, the bot copies nothing and relaunches the request."""
    job = stand.started()
    stand.end(job, details=Details(repo="ada/details_ada__good", commit="a" * 40, results_path="results.json"))
    file = stand.file(job.path)
    assert (file["status"], file["steward"]["failure"]["cause"]) == ("RERUN", "results-refused")
    results = stand.form.list_repo_files("board/results", repo_type="dataset")
    assert not any(name.endswith(".json") for name in results)


def test_an_outsiders_pull_request_is_followed_there(stand: BoardDriver) -> None:
    """The bot reports on a request that came by pull request in one comment there, and opens no new thread."""
    path = "ada/good_eval_request_False_float32_Original.json"
    add = CommitOperationAdd(path, json.dumps({"model": "ada/good", "status": "PENDING"}).encode())
    pull = stand.ada.create_commit(REQUESTS, [add], commit_message="Add", repo_type="dataset", create_pr=True)
    stand.form.merge_pull_request(REQUESTS, int(pull.pr_num or 0), repo_type="dataset")
    stand.settle()
    (thread,) = stand.threads()
    assert thread.num == int(pull.pr_num or 0)
    bots = [event for event in thread.events if event.type == "comment" and event.author == "steward-bot"]
    assert len(bots) == 1
    assert "submitted by `ada`" in bots[0].content


def test_the_bots_own_commits_mark_nothing(stand: BoardDriver) -> None:
    """After the bot's own commit the next poll takes at most two calls, the one after it a single call."""
    stand.submit("ada/remote")
    stand.settle()
    before = len(stand.calls)
    stand.settle()
    assert [route for _, route in stand.calls[before:]] in (["refs", "commits"], ["refs"])
    before = len(stand.calls)
    stand.settle()
    assert [route for _, route in stand.calls[before:]] == ["refs"]


def test_a_flood_of_the_same_event_costs_nothing_more(stand: BoardDriver) -> None:
    """Once a request is settled, any number of marks changes neither file nor thread."""
    path = stand.submit("ada/remote")
    stand.settle()
    commits, threads = stand.commits(), len(stand.threads()[0].events)
    for _ in range(5):
        stand.context.mark(f"request:{path}")
        stand.settle()
    assert (stand.commits(), len(stand.threads()[0].events)) == (commits, threads)


def test_a_hub_that_stumbles_is_tried_again_later(stand: BoardDriver) -> None:
    """If the Hub answers 503 the bot records the failure, puts the sync off, and does it later."""
    from hub.retries import Retries

    stand.context.hub.retries = Retries(attempts=1)
    path = stand.submit("ada/remote")
    stand.hub.state.faults.fail("/api/datasets/board/requests/refs", status=503, times=1)
    stand.settle()
    assert "steward" not in stand.file(path)
    assert float(stand.context.redis.hget(stand.context.keys.hub_state, "failed") or 0) > 0
    stand.time += 30
    stand.settle()
    assert stand.file(path)["status"] == "FAILED"


def test_only_a_form_of_the_board_submits_for_others(stand: BoardDriver) -> None:
    """The bot believes the `sender` of a file only if an account that the board lists as a front end committed it."""
    form = stand.context.hub.user("form").id
    stand.context.board = stand.context.board.model_copy(update={"front_ends": (form,)})
    stand.context.index.put_head(REQUESTS, stand.context.hub.head(stand.context.requests), stand.context.index.life())
    stand.submit("ada/good", sender="ada")
    stand.settle()
    assert "submitted by `ada`" in stand.threads()[0].events[0].content
    stand.context.board = stand.context.board.model_copy(update={"front_ends": ("f" * 24,)})
    stand.submit("ada/remote", sender="ada")
    stand.settle()
    assert "submitted by `form`" in stand.threads()[0].events[0].content


def test_a_new_commit_submitted_in_the_same_place_is_evaluated(stand: BoardDriver) -> None:
    """After an evaluation's end, a file at the same path with a newer revision gets an attempt of its own."""
    job = stand.started()
    stand.end(job, failure=Failure(cause="weights-corrupted", fault="submission", message="Cut off."))
    assert stand.file(job.path)["status"] == "FAILED"
    mended = stand.ada.upload_file(path_or_fileobj=b"y", path_in_repo="model.safetensors", repo_id="ada/good").oid
    stand.worker()
    stand.submit("ada/good", revision=mended)
    stand.settle()
    assert stand.file(job.path)["status"] == "PENDING"
    (again,) = stand.queued()
    assert again.revision == mended
    assert again.attempt != job.attempt
