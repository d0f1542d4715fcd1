"""Two workers with the same attempt: the bot lets one of them run it, and stops the other."""

from __future__ import annotations

import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from rq import Queue
from rq.job import Job
from rq.serializers import JSONSerializer

from redis_state import jobs
from redis_state.attempts import LOST, AttemptProgress
from steward.testing.board import BoardDriver
from workers.jobs import board_link
from workers.jobs import claim as claims
from workers.jobs.background_call import AttemptStopped
from workers.jobs.board_link import BoardRedis
from workers.jobs.claim import AttemptClaim
from workers.jobs.interrupted_jobs import end_as_lost, hand_back


class Worker:
    """The calls that a worker makes, at the time of the stand."""

    def __init__(self, stand: BoardDriver, name: str, url: str, folder: Path) -> None:
        self.name = name
        self.stand = stand
        self.wire = BoardRedis(url, stand.context.board.name)
        self.context: Any = SimpleNamespace(
            worker=name,
            settings=SimpleNamespace(claim_patience=0.3),
            slot=SimpleNamespace(attempt=folder / "none"),
            suite=stand.context.suite,
            versions={},
            hardware="",
            secrets=(),
        )

    def pop(self) -> tuple[Job, Queue, jobs.EvaluationJob]:
        """Get a job as RQ gives it: its id leaves the queue, the rest of it stays in Redis."""
        (message,) = self.stand.queued()
        job = Job.fetch(message.attempt, connection=self.stand.context.redis, serializer=JSONSerializer)
        queues = [jobs.queue(self.stand.context.redis, name) for name in self.stand.context.queues]
        (queue,) = [queue for queue in queues if self.stand.context.redis.lrem(queue.key, 1, message.attempt)]
        return job, queue, message

    def asks(self, job: jobs.EvaluationJob) -> AttemptClaim | None:
        """Ask for the claim, and return it, or None if another worker has the attempt."""
        until = time.monotonic() + 5
        claim = AttemptClaim(self.context, job, self.wire, lambda: "time-limit" if time.monotonic() > until else "")
        return claim if claim.ask() else None

    def beats(self, job: jobs.EvaluationJob, *, phase: str = "claim") -> bool:
        """Send a heartbeat, and return whether to go on."""
        attempts = self.wire.attempts()
        return attempts.beat(job.attempt, AttemptProgress(phase), now=self.stand.time, worker=self.name, path=job.path)


@pytest.fixture
def pair(
    stand: BoardDriver, valkey_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> tuple[BoardDriver, Worker, Worker]:
    """A board with one request in the queue, and two workers."""
    for module in (claims, board_link):
        monkeypatch.setattr(module, "now", lambda: stand.time)
    stand.tick()
    stand.worker()
    stand.submit("ada/good")
    stand.settle()
    return stand, Worker(stand, "A", valkey_url, tmp_path), Worker(stand, "B", valkey_url, tmp_path)


def granted(claim: AttemptClaim) -> bool | None:
    """Return the answer to a claim, or None if there is none."""
    try:
        return claim.is_granted()
    except AttemptStopped:
        return None


def test_a_worker_that_waits_for_its_claim_is_known_again_after_amnesia(
    pair: tuple[BoardDriver, Worker, Worker],
) -> None:
    """After Redis is lost, a heartbeat restores the attempt of a worker that waits for its claim, which is granted."""
    stand, a, _ = pair
    _, _, job = a.pop()
    asked = a.asks(job)
    assert asked is not None
    stand.context.redis.flushall()
    assert a.beats(job)
    stand.tick()
    stand.worker()
    stand.settle()
    assert stand.queued() == []
    stand.context.mark(f"request:{job.path}")
    stand.settle()
    assert granted(asked) is True
    assert stand.file(job.path)["status"] == "RUNNING"


def given_away(stand: BoardDriver, a: Worker, b: Worker) -> tuple[AttemptClaim, jobs.EvaluationJob, AttemptClaim]:
    """Let A ask and fall silent for longer than LOST, and B ask for the attempt that is queued anew."""
    _, _, job = a.pop()
    first = a.asks(job)
    while not stand.queued():
        stand.time += 2
        stand.worker()
        stand.tick()
        state = stand.context.attempts.read(job.attempt)
        if state is not None and stand.time - state.beat > LOST:
            stand.work()
    b.pop()
    second = b.asks(job)
    assert first is not None and second is not None
    return first, job, second


def test_of_two_that_ask_one_is_granted_and_the_other_told(pair: tuple[BoardDriver, Worker, Worker]) -> None:
    """A worker that was silent until another one got its attempt is refused its claim and told to stop."""
    stand, a, b = pair
    first, job, second = given_away(stand, a, b)
    assert not a.beats(job)
    stand.settle()
    assert (granted(first), granted(second)) == (False, True)
    assert b.beats(job, phase="load")
    assert not a.beats(job, phase="load")


def test_beats_of_one_do_not_hide_the_death_of_the_other(pair: tuple[BoardDriver, Worker, Worker]) -> None:
    """If B falls silent while A still sends heartbeats, B's attempt is lost and the request is relaunched."""
    stand, a, b = pair
    _, job, second = given_away(stand, a, b)
    stand.settle()
    assert granted(second)
    assert b.beats(job, phase="load")
    for _ in range(20):
        stand.time += 10
        stand.worker()
        a.beats(job)
        stand.tick()
        stand.work()
    assert stand.file(job.path)["status"] == "RERUN"


def taken_meanwhile(stand: BoardDriver, a: Worker, b: Worker) -> tuple[Job, Queue, jobs.EvaluationJob]:
    """Let A get a job and stay silent until the job counts as vanished, and B run the attempt; return A's job."""
    rq_job, queue, job = a.pop()
    while not stand.queued():
        stand.time += 2
        stand.worker()
        stand.tick()
        stand.work()
    b.pop()
    claim = b.asks(job)
    stand.settle()
    assert claim is not None and granted(claim)
    assert b.beats(job, phase="load")
    return rq_job, queue, job


def test_a_worker_that_stops_leaves_what_another_runs(pair: tuple[BoardDriver, Worker, Worker]) -> None:
    """A stopping worker does not hand back an attempt that another one runs, and the attempt is not queued again."""
    stand, a, b = pair
    rq_job, queue, job = taken_meanwhile(stand, a, b)
    stand.time += 1
    hand_back(a.wire, a.context, rq_job, queue)
    stand.settle()
    assert stand.queued() == []
    assert b.beats(job, phase="evaluate")


def test_a_worker_whose_job_died_ends_nothing_of_anothers(pair: tuple[BoardDriver, Worker, Worker]) -> None:
    """The bot ignores a report of the attempt's loss from a worker that no longer holds it."""
    stand, a, b = pair
    rq_job, _, job = taken_meanwhile(stand, a, b)
    end_as_lost(a.wire, rq_job, a.context, 9)
    stand.settle()
    assert stand.file(job.path)["status"] == "RUNNING"
    assert b.beats(job, phase="evaluate")


def test_a_claim_is_not_granted_to_whoever_has_just_handed_it_back(
    pair: tuple[BoardDriver, Worker, Worker], monkeypatch: pytest.MonkeyPatch
) -> None:
    """If a worker hands the attempt back after the commit of RUNNING, the bot queues the same attempt again."""
    stand, a, _ = pair
    rq_job, queue, job = a.pop()
    claim = a.asks(job)
    real = stand.context.attempts.answer_claim

    def late(attempt: str, *, granted: bool) -> bool:
        monkeypatch.setattr(stand.context.attempts, "answer_claim", real)
        hand_back(a.wire, a.context, rq_job, queue)
        return real(attempt, granted=granted)

    monkeypatch.setattr(stand.context.attempts, "answer_claim", late)
    stand.settle()
    assert claim is not None and stand.file(job.path)["status"] == "RUNNING"
    (again,) = stand.queued()
    assert again.attempt == job.attempt
