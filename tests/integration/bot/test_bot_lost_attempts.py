"""Attempts whose worker falls silent or that fail by the board's fault, and what becomes of their requests."""

from __future__ import annotations

import json

import pytest
from huggingface_hub import CommitOperationAdd, HfApi

from benchmarks.sample_tables import sample_tables
from bot.core.commands.answers import say
from bot.core.relative_times import stamp
from bot.read_models import serializers
from bot.read_models.lists import QueueReader
from bot.requests.verb_status import status_text
from leaderboard.attempts import Failure
from leaderboard.details import PublishedOutcome, outcome_path
from leaderboard.failures import cause
from leaderboard.results import dump
from leaderboard.scores import score
from leaderboard.steward_block import StewardBlock, scores_in_block, with_block
from redis_state.attempts import LOST
from redis_state.clock import iso
from redis_state.jobs import EvaluationJob
from steward.testing.board import REQUESTS, WORKER, BoardDriver


def test_a_lost_worker_is_our_fault_and_the_request_is_tried_again_within_the_budget(stand: BoardDriver) -> None:
    """The bot relaunches a request whose worker falls silent as often as the board allows, then sets it to FAILED."""
    job = stand.started()
    stand.time += 60
    for number in (2, 3):
        stand.time += LOST + 1
        stand.worker()
        stand.tick()
        stand.settle()
        file = stand.file(job.path)
        assert (file["status"], file["steward"]["attempt"]) == ("RERUN", number)
        (job,) = stand.queued()
        assert job.attempt.endswith(f"-{number}")
        assert stand.take(job) is True
    stand.time += LOST + 1
    stand.tick()
    stand.settle()
    file = stand.file(job.path)
    assert file["status"] == "FAILED"
    assert (file["steward"]["failure"]["cause"], file["steward"]["failure"]["fault"]) == ("worker-lost", "us")


def test_after_redis_is_lost_no_attempt_is_given_up_before_two_heartbeats(stand: BoardDriver) -> None:
    """With an empty Redis the bot leaves a running request as it is, and a heartbeat keeps it running."""
    job = stand.started()
    stand.context.redis.flushall()
    stand.tick()
    stand.settle()
    assert stand.file(job.path)["status"] == "RUNNING"
    stand.time += 10
    stand.beat(job)
    stand.time += 20
    stand.context.mark(f"request:{job.path}")
    stand.settle()
    assert stand.file(job.path)["status"] == "RUNNING"
    assert len(stand.threads()) == 1


def test_a_claim_of_an_attempt_that_was_given_up_is_refused(stand: BoardDriver) -> None:
    """The bot refuses a claim if the request file says FINISHED, also after the index was lost."""
    job = stand.started()
    stand.context.redis.flushall()
    stand.put(job.path, json.dumps({**stand.file(job.path), "status": "FINISHED"}).encode())
    stand.context.attempts.take(job.attempt, job.path, "w", now=stand.time)
    stand.context.mark(f"request:{job.path}")
    stand.settle()
    assert stand.answer(job) is False


def test_a_silent_workers_claim_is_refused_when_its_request_is_gone(stand: BoardDriver) -> None:
    """If the request file is deleted while a worker that waits for its claim is silent, the bot refuses the claim."""
    job = stand.started()
    stand.context.redis.flushall()
    stand.form.delete_file(job.path, REQUESTS, repo_type="dataset", commit_message="Remove")
    stand.context.attempts.take(job.attempt, job.path, "w", now=stand.time)
    stand.time += 3_600
    stand.context.mark(f"request:{job.path}")
    stand.settle()
    assert stand.answer(job) is False


def publish_outcome(stand: BoardDriver, job: EvaluationJob) -> tuple[dict[str, bytes], float | None]:
    """Commit the job's outcome to its details repo, as its worker does; return the files and the average score."""
    gpu = HfApi(stand.hub.url, token=WORKER)
    gpu.create_repo("board-details/details_ada__good", repo_type="dataset")
    published = PublishedOutcome(
        attempt=job.attempt,
        path=job.path,
        revision=job.revision,
        suite=job.suite,
        suite_digest=job.suite_digest,
        started=1,
        ended=2,
        results_path="results_2026-11-24T12-00-00.000000.json",
    )
    suite = stand.context.suite
    raw = {t: {"acc_norm,none": 0.75, "exact_match,answer": 0.5} for t in (*suite.tasks, *suite.run)}
    scores = score(raw, suite)
    block = StewardBlock(
        attempt=job.attempt,
        request=job.path,
        model=job.model,
        revision=job.revision,
        precision="float32",
        suite=suite.name,
        suite_digest=suite.digest,
        started="",
        ended="",
        **scores_in_block(scores),
    )
    files = {
        **sample_tables(suite, raw, "2026-11-24T12-00-00.000000"),
        "results_2026-11-24T12-00-00.000000.json": dump(with_block({"results": raw}, block)),
        outcome_path(job.attempt): published.model_dump_json().encode(),
    }
    operations = [CommitOperationAdd(path, content) for path, content in files.items()]
    repo = "board-details/details_ada__good"
    gpu.create_commit(repo, operations, commit_message="Publish", repo_type="dataset")
    return files, scores.average


@pytest.mark.parametrize("is_reported", [False, True])
def test_what_was_published_before_the_worker_was_lost_is_not_evaluated_again(
    stand: BoardDriver, is_reported: bool
) -> None:
    """The bot completes a lost attempt from the outcome in the details repo, however it learns of the loss."""
    job = stand.started()
    files, average = publish_outcome(stand, job)
    if is_reported:
        stand.end(job, failure=cause("worker-lost").failure("killed"))
    else:
        stand.time += 100
        stand.tick()
        stand.settle()
    file = stand.file(job.path)
    assert (file["status"], file["steward"]["attempt"]) == ("FINISHED", 1)
    copied = stand.context.hub.read_file(stand.context.results, file["steward"]["results"])
    results = json.loads(copied.data)
    checked = results["steward"].pop("checked")
    assert (checked["samples"], checked["unchecked"], checked["recomputed"]) == (6, [], 0)
    results["steward"]["checked"] = None
    assert results == json.loads(files["results_2026-11-24T12-00-00.000000.json"])
    assert f"{average:.2f}" in stand.threads()[0].events[0].content


def test_a_cause_that_needs_time_delays_the_next_attempt(stand: BoardDriver) -> None:
    """After a worker's full disk, the bot queues the next attempt when that cause's delay has passed, not before; the
    comment, the queue, `/status`, `/why` say when that is."""
    job, context = stand.started(), stand.context
    stand.end(job, failure=Failure(cause="disk-full", fault="us", message="The disk is full."))
    assert (stand.file(job.path)["status"], stand.file(job.path)["steward"]["attempt"]) == ("RERUN", 2)
    stand.settle()
    entry = context.index.get(job.path)
    retry = f"It will be retried at {stamp(entry.again)}."
    (held,), shown = QueueReader(context).queue().held, serializers.request(context, entry)
    assert (held.path, held.kind, held.until) == (job.path, "retry", iso(entry.again))
    assert (shown.state, shown.failed, shown.held and shown.held.until) == ("waiting", False, held.until)
    why = say("why", request=shown, lines=[])
    texts = (held.reason, stand.threads()[0].events[0].content, why, status_text(context, "ada/good", [entry]))
    assert all(retry in text for text in texts)
    stand.time += 800
    stand.worker()
    stand.tick()
    stand.settle()
    assert stand.queued() == []
    stand.time += 200
    stand.worker()
    stand.settle()
    assert [again.attempt[-2:] for again in stand.queued()] == ["-2"]
    assert not QueueReader(context).queue().held
