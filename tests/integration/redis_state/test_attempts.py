"""Attempts, workers and jobs on a real server: how bot and worker communicate about one evaluation."""

from __future__ import annotations

import threading

import pytest
import redis

from leaderboard.attempts import Failure, Outcome
from redis_state import jobs
from redis_state.attempts import LOST, MAX_LOG, AttemptProgress, Attempts
from redis_state.errors import BadMessage, RedisAway
from redis_state.heartbeats import WorkerCard, WorkerRegistry
from redis_state.keys import Keys
from redis_state.redis import connect

NOW, SHA = 1_000_000.0, "c" * 40
ATTEMPT, PATH = "0123456789ab-cccccccc-1", "o/m_eval_request_False_float32_Original.json"
KEYS = Keys("demo")


@pytest.fixture
def attempts(connection: redis.Redis) -> Attempts:
    """The attempts of a board."""
    return Attempts(connection, KEYS)


def outcome() -> Outcome:
    """The outcome of a failed attempt."""
    return Outcome(
        attempt=ATTEMPT,
        path=PATH,
        revision=SHA,
        suite="starter",
        suite_digest="0",
        started=1,
        ended=2,
        phase="load",
        failure=Failure(cause="disk-full", fault="us", message="full"),
    )


def test_a_claim_is_asked_for_and_granted(attempts: Attempts) -> None:
    """The worker gets the bot's answer, whether it waits before or after it."""
    attempts.take(ATTEMPT, PATH, "w", now=NOW)
    heard: list[bool | None] = []
    waiter = threading.Thread(target=lambda: heard.append(attempts.wait_for_claim(ATTEMPT, seconds=20, worker="w")))
    waiter.start()
    attempts.answer_claim(ATTEMPT, granted=True)
    waiter.join()
    assert heard == [True]
    attempts.answer_claim(ATTEMPT, granted=False)
    assert attempts.wait_for_claim(ATTEMPT, seconds=1, worker="w") is False


def test_an_old_answer_does_not_count_for_a_new_claim(attempts: Attempts) -> None:
    """Taking an attempt again clears an earlier answer."""
    attempts.answer_claim(ATTEMPT, granted=True)
    attempts.take(ATTEMPT, PATH, "w", now=NOW)
    assert attempts.wait_for_claim(ATTEMPT, seconds=0.1, worker="w") is None


def test_an_attempt_lives_by_its_beats_and_ends_with_its_outcome(attempts: Attempts) -> None:
    """An attempt is alive while it beats, lost when it is silent, and neither after its end."""
    attempts.take(ATTEMPT, PATH, "w", now=NOW)
    assert attempts.beat(ATTEMPT, AttemptProgress("evaluate", 3, 9, 2), now=NOW + 5, worker="w", path=PATH)
    state = attempts.read(ATTEMPT)
    assert state is not None
    assert (state.state, state.progress, state.path, state.worker) == (
        "running",
        AttemptProgress("evaluate", 3, 9, 2),
        PATH,
        "w",
    )
    assert attempts.alive(now=NOW + 6) == {ATTEMPT}
    assert attempts.lost(now=NOW + 6 + LOST) == {ATTEMPT}
    attempts.end(outcome(), "log", worker="w")
    assert attempts.alive(now=NOW + 6) == set() == attempts.lost(now=NOW + 6 + LOST)
    assert attempts.outcome(ATTEMPT) == (outcome(), "log")


def test_workers_of_earlier_versions_replay_nothing(attempts: Attempts) -> None:
    """Queueing or taking an attempt again clears the count of replayed answers, which earlier versions do not write."""
    earlier = {"state": "running", "phase": "evaluate", "done": 6, "total": 9, "worker": "old", "path": PATH}
    for again in (
        lambda: attempts.queued(ATTEMPT, PATH, now=NOW + 1),
        lambda: attempts.take(ATTEMPT, PATH, "old", now=NOW + 1),
    ):
        attempts.beat(ATTEMPT, AttemptProgress("evaluate", 5, 9, 5), now=NOW, worker="w", path=PATH)
        attempts.hand_back(ATTEMPT, worker="w")
        assert again()
        attempts.redis.hset(KEYS.attempt(ATTEMPT), mapping=earlier)
        state = attempts.read(ATTEMPT)
        assert state is not None and state.progress == AttemptProgress("evaluate", 6, 9, 0)
        attempts.hand_back(ATTEMPT, worker="old")


def test_no_more_was_replayed_than_is_done(attempts: Attempts) -> None:
    """A worker's count of replayed answers is limited by its progress."""
    attempts.beat(ATTEMPT, AttemptProgress("evaluate", 5, 9, 7), now=NOW, worker="w", path=PATH)
    state = attempts.read(ATTEMPT)
    assert state is not None and state.progress.replayed == 5


def test_a_beat_from_the_future_counts_no_longer_than_any_other(attempts: Attempts) -> None:
    """After the clock was set back by a day, a dead worker's attempt is lost, and free, LOST seconds later."""
    attempts.take(ATTEMPT, PATH, "dead", now=NOW + 86_400)
    assert attempts.alive(now=NOW) == {ATTEMPT}
    assert attempts.alive(now=NOW + LOST) == {ATTEMPT}
    assert attempts.lost(now=NOW + LOST + 1) == {ATTEMPT}
    assert attempts.alive(now=NOW + LOST + 1) == set()
    state = attempts.read(ATTEMPT)
    assert state is not None and state.beat == NOW
    assert attempts.take(ATTEMPT, PATH, "next", now=NOW + LOST + 1)


def test_a_worker_whose_clock_is_ahead_lives_by_its_beats(attempts: Attempts) -> None:
    """A worker that beats by a clock ten minutes ahead keeps its attempt."""
    for second in range(0, 200, 10):
        attempts.beat(ATTEMPT, AttemptProgress("load"), now=NOW + second + 600, worker="w", path=PATH)
        assert attempts.alive(now=NOW + second + 5) == {ATTEMPT}
        assert attempts.lost(now=NOW + second + 5) == set()


def test_a_cancelled_attempt_hears_it_with_its_next_beat(attempts: Attempts) -> None:
    """The answer to a heartbeat tells a cancelled attempt to stop."""
    attempts.cancel(ATTEMPT)
    assert not attempts.beat(ATTEMPT, AttemptProgress("load"), now=NOW, worker="w", path=PATH)


@pytest.mark.parametrize("state", ["ended", "handed-back"])
def test_a_beat_that_arrives_late_changes_nothing(attempts: Attempts, state: str) -> None:
    """A heartbeat that arrives after the attempt ended or was handed back leaves its state unchanged."""
    attempts.take(ATTEMPT, PATH, "w", now=NOW)
    attempts.beat(ATTEMPT, AttemptProgress("load"), now=NOW, worker="w", path=PATH)
    assert attempts.end(outcome(), "", worker="w") if state == "ended" else attempts.hand_back(ATTEMPT, worker="w")
    assert not attempts.beat(ATTEMPT, AttemptProgress("evaluate", 1, 2), now=NOW + 1, worker="w", path=PATH)
    present = attempts.read(ATTEMPT)
    assert present is not None
    assert present.state == state
    assert attempts.alive(now=NOW + 1) == set()


def test_a_log_is_bounded_and_its_end_is_kept(attempts: Attempts) -> None:
    """Of a log that is too long the last bytes are stored, even if they split a character."""
    attempts.end(outcome(), "é" * MAX_LOG + "the end", worker="w")
    outcome_and_log = attempts.outcome(ATTEMPT)
    assert outcome_and_log is not None
    assert outcome_and_log[1].endswith("the end")
    assert len(outcome_and_log[1].encode()) <= MAX_LOG + 3


def test_a_garbled_outcome_is_an_error_not_a_result(attempts: Attempts, connection: redis.Redis) -> None:
    """A malformed outcome raises BadMessage."""
    connection.hset(KEYS.attempt(ATTEMPT), mapping={"state": "ended", "outcome": '{"v": 2}'})
    with pytest.raises(BadMessage, match="malformed"):
        attempts.outcome(ATTEMPT)


def test_a_worker_is_seen_while_it_beats(connection: redis.Redis) -> None:
    """A silent worker is not listed, and one that leaves is removed at once."""
    workers = WorkerRegistry(connection, KEYS)
    workers.announce(WorkerCard(name="w", tiers=("all",), since=NOW, beat=NOW))
    connection.hset(KEYS.workers, "garbled", "{")
    assert [card.name for card in workers.alive(now=NOW + 1)] == ["w"]
    assert workers.alive(now=NOW + LOST + 1) == []
    workers.leave("w")
    assert workers.alive(now=NOW) == []


def job() -> jobs.EvaluationJob:
    """A job for the attempt."""
    return jobs.EvaluationJob(
        board="demo",
        attempt=ATTEMPT,
        path=PATH,
        model="o/m",
        revision=SHA,
        precision="float32",
        weight_type="Original",
        suite="starter",
        suite_digest="0",
    )


def test_a_job_is_json_and_is_queued_once(connection: redis.Redis) -> None:
    """The same attempt is put into RQ once, under its own id, with bounded lifetimes, and without a pickle."""
    name = KEYS.queue("all")
    assert jobs.enqueue(connection, name, job(), timeout=100)
    assert not jobs.enqueue(connection, name, job(), timeout=100)
    queued = jobs.queue(connection, name).jobs
    assert [message.id for message in queued] == [ATTEMPT]
    assert (queued[0].timeout, queued[0].result_ttl, queued[0].failure_ttl) == (
        100,
        jobs.RESULT_TTL_SECONDS,
        jobs.FAILURE_TTL_SECONDS,
    )
    assert jobs.parse(queued[0].kwargs["message"]) == job()
    raw = connection.hget(f"rq:job:{ATTEMPT}", "data")
    assert raw is not None
    assert b"workers.jobs.evaluate" in (raw if raw.startswith(b"[") else __import__("zlib").decompress(raw))


def test_malformed_jobs_in_a_queue_hide_no_other_job(connection: redis.Redis) -> None:
    """Jobs that RQ cannot read or that are too large, which a worker could write, do not hide a queue's other jobs."""
    name = KEYS.queue("small")
    assert jobs.enqueue(connection, name, job(), timeout=100)
    key, forged = jobs.queue(connection, name).key, [f"{number:012x}-cccccccc-1" for number in range(5)]
    connection.rpush(key, *forged, "no id at all")
    connection.set(f"rq:job:{forged[1]}", "a text")
    connection.hset(f"rq:job:{forged[2]}", mapping={"last_heartbeat": "now"})
    connection.hset(f"rq:job:{forged[3]}", mapping={"data": "x", "timeout": "a while"})
    connection.hset(f"rq:job:{forged[4]}", mapping={"data": "x" * (jobs.MAX_JOB_BYTES + 1)})
    assert jobs.waiting_jobs(connection, name) == {ATTEMPT: job()}
    for attempt in forged:
        with pytest.raises(BadMessage):
            jobs.take_out(connection, [name], attempt)
    assert jobs.take_out(connection, [name], ATTEMPT) == job()


@pytest.mark.parametrize("message", [None, [], {}, {"v": 2}, {**job().model_dump(), "attempt": "../x"}])
def test_what_is_not_a_job_is_refused(message: object) -> None:
    """A message that is not an evaluation job raises BadMessage."""
    with pytest.raises(BadMessage):
        jobs.parse(message)


def test_a_missing_redis_is_named_with_its_setting() -> None:
    """The error names REDIS_URL and the address, but not the password."""
    with pytest.raises(RedisAway, match=r"REDIS_URL") as error:
        connect("redis://:secret@127.0.0.1:1/0")
    assert "127.0.0.1:1" in str(error.value)
    assert "secret" not in str(error.value)


def test_an_attempt_is_taken_from_no_worker_that_beats_for_it(attempts: Attempts) -> None:
    """A job queued twice runs once; a silent, a refused and a handed-back attempt may be taken."""
    assert attempts.take(ATTEMPT, PATH, "one", now=NOW)
    assert not attempts.take(ATTEMPT, PATH, "two", now=NOW + 2)
    assert attempts.take(ATTEMPT, PATH, "one", now=NOW + 3)
    assert attempts.take(ATTEMPT, PATH, "two", now=NOW + 4 + LOST)
    attempts.answer_claim(ATTEMPT, granted=False)
    assert attempts.take(ATTEMPT, PATH, "three", now=NOW + 5 + LOST)
    attempts.hand_back(ATTEMPT, worker="three")
    assert attempts.take(ATTEMPT, PATH, "four", now=NOW + 6 + LOST)


@pytest.mark.parametrize("name", ["two", ""])
def test_a_worker_that_does_not_hold_an_attempt_cannot_change_it(attempts: Attempts, name: str) -> None:
    """A worker that does not hold the attempt gets no answer to a claim, and can neither beat, hand back nor end it."""
    attempts.take(ATTEMPT, PATH, "one", now=NOW)
    attempts.answer_claim(ATTEMPT, granted=True)
    before = attempts.read(ATTEMPT)
    assert attempts.wait_for_claim(ATTEMPT, seconds=1, worker=name) is None
    assert not attempts.beat(ATTEMPT, AttemptProgress("load"), now=NOW + 1, worker=name, path="elsewhere")
    assert not attempts.hand_back(ATTEMPT, worker=name)
    assert not attempts.end(outcome(), "log", worker=name)
    assert (attempts.read(ATTEMPT), attempts.outcome(ATTEMPT)) == (before, None)


def test_what_a_worker_beats_for_is_not_queued(attempts: Attempts) -> None:
    """Queueing an attempt with a beating worker changes nothing; a silent worker's attempt is queued."""
    assert attempts.queued(ATTEMPT, PATH, now=NOW)
    assert attempts.queued(ATTEMPT, PATH, now=NOW)
    assert attempts.take(ATTEMPT, PATH, "one", now=NOW)
    assert not attempts.queued(ATTEMPT, PATH, now=NOW + 1)
    assert attempts.asking(PATH) == ATTEMPT
    attempts.answer_claim(ATTEMPT, granted=True)
    assert not attempts.queued(ATTEMPT, PATH, now=NOW + 1)
    attempts.beat(ATTEMPT, AttemptProgress("load"), now=NOW + 2, worker="one", path=PATH)
    assert not attempts.queued(ATTEMPT, PATH, now=NOW + 1 + LOST)
    assert attempts.queued(ATTEMPT, PATH, now=NOW + 2 + LOST)
    for end in (
        lambda: attempts.hand_back(ATTEMPT, worker="two"),
        lambda: attempts.answer_claim(ATTEMPT, granted=False),
    ):
        assert attempts.take(ATTEMPT, PATH, "two", now=NOW + 3 + LOST)
        end()
        assert attempts.queued(ATTEMPT, PATH, now=NOW + 3 + LOST)


def test_many_attempts_are_read_at_once(attempts: Attempts) -> None:
    """Attempts read together equal those read alone; unknown ones are left out."""
    others = [f"{number:012x}-cccccccc-1" for number in range(3)]
    for number, attempt in enumerate(others[:2]):
        attempts.take(attempt, f"{number}", "w", now=NOW)
    attempts.beat(others[0], AttemptProgress("load", 1, 2), now=NOW + 1, worker="0", path="0")
    assert attempts.read_all([]) == {}
    assert attempts.read_all([*others, others[0]]) == {attempt: attempts.read(attempt) for attempt in others[:2]}
