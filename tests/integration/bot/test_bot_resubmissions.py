"""People submit an ended request again: the bot runs another attempt, and does not reuse the old one's end.

`make test` submits in one way, after a failure and a loss of Redis; `make long` in each way, also after a cancellation,
with and without that loss.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from itertools import product
from typing import Any

import pytest
from huggingface_hub import CommitOperationAdd

from bot.request_files.attempt_numbers import claimed_number
from hub.records import LogEntry
from leaderboard.attempts import Failure
from leaderboard.failures import cause
from redis_state.jobs import EvaluationJob
from steward.testing.board import REQUESTS, BoardDriver
from tests.support.board.published_details import publish
from tests.support.long import long_except

THEIRS = Failure(cause="weights-corrupted", fault="submission", message="The weights are cut off.")


def put_back(stand: BoardDriver, path: str) -> None:
    """Set the status alone, as a person does."""
    stand.put(path, json.dumps({**stand.file(path), "status": "PENDING"}).encode())


def put_back_as_new(stand: BoardDriver, path: str) -> None:
    """Set the status and remove the job's id, as a person does."""
    stand.put(path, json.dumps({**stand.file(path), "status": "RERUN", "job_id": -1}).encode())


def overwrite(stand: BoardDriver, path: str) -> None:
    """Have the form write its file over the present one, without the fields that the bot added."""
    stand.submit("ada/good", path=path)


def remove_and_submit(stand: BoardDriver, path: str) -> None:
    """Remove the file and submit it again."""
    stand.form.delete_file(path, REQUESTS, repo_type="dataset", commit_message="Remove")
    stand.settle()
    stand.submit("ada/good", path=path)


WAYS = long_except(
    {"remove_and_submit-redis-lost"},
    product([put_back, put_back_as_new, overwrite, remove_and_submit], [False, True]),
    "another way to submit again",
    name=lambda way: f"{way[0].__name__}{'-redis-lost' * way[1]}",
)
"""Ways to ask again, and whether Redis was lost before."""


def run_again(stand: BoardDriver) -> str:
    """Have the resubmitted request queued, taken and published, and return its attempt."""
    stand.worker()
    stand.tick()
    stand.settle()
    (job,) = stand.queued()
    assert stand.take(job) is True
    stand.end(job, details=publish(stand.hub.url, job, stand.context.suite))
    return job.attempt


@pytest.mark.parametrize(("again", "amnesia"), WAYS)
def test_the_same_commit_submitted_again_after_a_failure_is_evaluated_again(
    stand: BoardDriver, again: Callable[[BoardDriver, str], None], amnesia: bool
) -> None:
    """A failed request that is submitted again at the same commit gets a second attempt, also if Redis was lost."""
    job = stand.started()
    stand.end(job, failure=THEIRS)
    assert stand.file(job.path)["status"] == "FAILED"
    if amnesia:
        stand.context.redis.flushall()
    again(stand, job.path)
    stand.settle()
    assert stand.file(job.path)["status"] != "FAILED"
    attempt = run_again(stand)
    assert attempt == job.attempt.removesuffix("-1") + "-2"
    file = stand.file(job.path)
    assert (file["status"], file["job_id"]) == ("FINISHED", attempt)
    facts = file["steward"]
    assert (facts["attempt"], facts["first"], facts["spent"]) == (2, 2, 2)
    if again is not remove_and_submit:
        assert len(stand.threads()) == 1
    commits = stand.form.list_repo_commits(REQUESTS, repo_type="dataset")
    assert facts["causes"] == [f"commit:{next(commit.commit_id for commit in commits if 'form' in commit.authors)}"]


@pytest.mark.long("a board and several attempts for one more order of the events")
@pytest.mark.parametrize(("again", "amnesia"), WAYS)
def test_an_attempt_that_was_given_up_is_not_the_next_one(
    stand: BoardDriver, again: Callable[[BoardDriver, str], None], amnesia: bool
) -> None:
    """After a request was cancelled and submitted again, the bot ignores what the old worker still publishes."""
    job = stand.started()
    stand.put(job.path, json.dumps({**stand.file(job.path), "status": "CANCELLED"}).encode())
    stand.settle()
    if amnesia:
        stand.context.redis.flushall()
    again(stand, job.path)
    stand.settle()
    stand.end(job, details=publish(stand.hub.url, job, stand.context.suite))
    assert stand.file(job.path)["status"] in ("PENDING", "RERUN")
    attempt = run_again(stand)
    assert attempt != job.attempt
    results = [name for name in stand.form.list_repo_files("board/results", repo_type="dataset") if "results_" in name]
    assert len(results) == 1
    assert (
        json.loads(stand.context.hub.read_file(stand.context.results, results[0]).data)["steward"]["attempt"] == attempt
    )


def cancel_and_remove(stand: BoardDriver) -> EvaluationJob:
    """Start a request, cancel it, remove its file, so that no log has its attempt, and empty Redis; return the job."""
    job = stand.started()
    stand.put(job.path, json.dumps({**stand.file(job.path), "status": "CANCELLED"}).encode())
    stand.settle()
    stand.form.delete_file(job.path, REQUESTS, repo_type="dataset", commit_message="Remove")
    stand.settle()
    stand.context.redis.flushall()
    return job


@pytest.mark.long("a board and several attempts for one more order of the events")
@pytest.mark.parametrize("looked", [True, False])
def test_a_removed_request_gets_no_number_twice_after_redis_was_lost(stand: BoardDriver, *, looked: bool) -> None:
    """The bot learns the attempt's number from the commit of its claim, also without a sync before the next file."""
    job = cancel_and_remove(stand)
    if looked:
        stand.settle()
    stand.submit("ada/good", path=job.path)
    stand.settle()
    assert run_again(stand) == job.attempt.removesuffix("-1") + "-2"


@pytest.mark.long("a board and several attempts for one more order of the events")
def test_a_claim_that_another_account_names_counts_for_nothing(stand: BoardDriver) -> None:
    """The bot reads attempts only from the messages of its own commits."""
    job = cancel_and_remove(stand)
    line = json.dumps({"edit": f"run {job.attempt.removesuffix('-1')}-7", "path": job.path})
    operations = [CommitOperationAdd("note.txt", b"x")]
    stand.form.create_commit(REQUESTS, operations, commit_message="Note", commit_description=line, repo_type="dataset")
    stand.submit("ada/good", path=job.path)
    stand.settle()
    assert run_again(stand) == job.attempt.removesuffix("-1") + "-2"


def test_commits_are_read_once_for_their_claims(stand: BoardDriver) -> None:
    """The first request after Redis was lost reads the history, later ones the commits since; none is read twice."""
    job = cancel_and_remove(stand)
    for number in range(3):
        stand.put(f"note-{number}.txt", b"x")
    sizes = list[int]()
    real = stand.context.hub.history

    def history(*args: Any, **options: Any) -> Iterator[LogEntry]:
        sizes.append(0)
        for entry in real(*args, **options):
            sizes[-1] += 1
            yield entry

    head = stand.context.hub.head(stand.context.requests)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(stand.context.hub, "history", history)
        assert [claimed_number(stand.context, job.path, head) for _ in range(2)] == [1, 1]
        first = list(sizes)
        stand.put("note.txt", b"y")
        assert claimed_number(stand.context, job.path, stand.context.hub.head(stand.context.requests)) == 1
    assert first == [stand.commits() - 1]
    assert sizes[1:] == [2]  # the new commit, and the last that is known


@pytest.mark.long("a board and several attempts for one more order of the events")
def test_claims_that_are_read_while_redis_is_emptied_are_read_again(
    stand: BoardDriver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """If Redis is emptied while the bot reads new commits, the bot does not take these for the whole history."""
    job = cancel_and_remove(stand)
    context = stand.context
    assert claimed_number(context, job.path, context.hub.head(context.requests)) == 1
    stand.put("note.txt", b"x")
    real = context.hub.history

    def history(*args: Any, **options: Any) -> Iterator[LogEntry]:
        context.redis.flushall()
        return real(*args, **options)

    with monkeypatch.context() as patch:
        patch.setattr(context.hub, "history", history)
        assert claimed_number(context, job.path, context.hub.head(context.requests)) == 1
    assert claimed_number(context, job.path, context.hub.head(context.requests)) == 1


@pytest.mark.long("a board and several attempts for one more order of the events")
def test_tries_of_an_earlier_submission_are_not_held_against_a_new_one(stand: BoardDriver) -> None:
    """A new submission has the whole budget of tries, after an earlier one has spent its own."""
    job: Any = stand.started()
    attempts = [job.attempt]
    for ends in ("RERUN", "RERUN", "FAILED", "RERUN", "RERUN", "FAILED"):
        stand.time += 1_000
        stand.tick()
        stand.settle()
        assert stand.file(job.path)["status"] == ends
        if ends == "FAILED":
            put_back(stand, job.path)
        stand.time += 1_000  # so that the budget has a commit for the claim
        stand.worker()
        stand.tick()
        stand.settle()
        (job,) = stand.queued()
        attempts.append(job.attempt)
        assert stand.take(job) is True
    assert [attempt.rpartition("-")[2] for attempt in attempts] == ["1", "2", "3", "4", "5", "6", "7"]


def test_a_resubmission_waits_anew_and_is_judged_at_the_newest_commit(
    stand: BoardDriver,
) -> None:
    """A model that was fixed after it failed is evaluated at its newest commit, with a new time of submission."""
    job = stand.started()
    submitted = stand.context.index.get(job.path).submitted
    stand.end(job, failure=THEIRS)
    stand.ada.upload_file(
        path_or_fileobj=b"y", path_in_repo="model.safetensors", repo_id="ada/good", commit_message="Mend"
    )
    stand.time += 100
    put_back(stand, job.path)
    stand.worker()
    stand.settle()
    (again,) = stand.queued()
    assert again.revision == stand.ada.model_info("ada/good").sha != job.revision
    assert again.attempt.endswith("-2")
    assert stand.context.index.get(job.path).submitted >= submitted + 100


@pytest.mark.parametrize("runs", [True, False])
def test_a_request_whose_file_is_spoilt_stops_its_worker(stand: BoardDriver, *, runs: bool) -> None:
    """If a request's file becomes invalid, the bot stops its attempt or its job, and sets the file to FAILED."""
    if runs:
        job = stand.started()
        stand.beat(job)
    else:
        stand.worker()
        stand.submit("ada/good")
        stand.settle()
        (job,) = stand.queued()
    stand.put(job.path, json.dumps({"status": "PENDING"}).encode())
    stand.settle()
    if runs:
        assert not stand.beat(job, 2, 2)
    assert stand.queued() == []
    assert stand.file(job.path)["status"] == "FAILED"


def test_a_worker_that_asks_about_a_file_that_is_gone_is_sent_away(stand: BoardDriver) -> None:
    """The bot refuses a worker's claim if the request's file was removed just before."""
    stand.worker()
    stand.submit("ada/good")
    stand.settle()
    (job,) = stand.queued()
    stand.form.delete_file(job.path, REQUESTS, repo_type="dataset", commit_message="Remove")
    stand.context.index.drop(job.path)
    assert stand.take(job) is False


@pytest.mark.long("the next test removes one, too")
def test_a_request_whose_file_is_removed_while_it_runs_stops_its_worker(stand: BoardDriver) -> None:
    """If the file of a running request is removed, the answer to the worker's next heartbeat tells it to stop."""
    job = stand.started()
    stand.beat(job)
    stand.form.delete_file(job.path, REQUESTS, repo_type="dataset", commit_message="Remove")
    stand.settle()
    assert not stand.beat(job, 2, 2)


@pytest.mark.long("a board and several attempts for one more order of the events")
@pytest.mark.parametrize("told_before", [False, True])
def test_the_end_of_a_removed_attempt_does_not_end_a_new_submission(stand: BoardDriver, *, told_before: bool) -> None:
    """Whether a stopped worker reports before or after the file is submitted again, a second attempt runs."""
    job = stand.started()
    stand.beat(job)
    stand.form.delete_file(job.path, REQUESTS, repo_type="dataset", commit_message="Remove")
    stand.settle()
    if told_before:
        stand.end(job, failure=cause("cancelled").failure())
    stand.submit("ada/good", path=job.path)
    stand.settle()
    if not told_before:
        stand.end(job, failure=cause("cancelled").failure())
    stand.context.mark(f"request:{job.path}")
    stand.settle()
    assert stand.file(job.path)["status"] == "PENDING"
    attempt = run_again(stand)
    assert attempt == job.attempt.removesuffix("-1") + "-2"
    assert stand.file(job.path)["status"] == "FINISHED"
