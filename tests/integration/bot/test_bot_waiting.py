"""The cached list of waiting requests: equal to Redis after every change, and read in full only when needed."""

from __future__ import annotations

from dataclasses import replace

import redis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from leaderboard.budgets import DAY
from redis_state import jobs
from redis_state.board import waiting
from redis_state.board.entry import IndexEntry
from redis_state.board.index import Index
from redis_state.board.measures import Cost, Measures
from redis_state.jobs import EvaluationJob
from redis_state.keys import Keys

KEYS = Keys("demo")
MOVES = st.lists(
    st.tuples(st.sampled_from(["put", "move", "go", "gone", "look", "forget"]), st.sampled_from("abcd")), max_size=25
)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(moves=MOVES, remembered=st.sampled_from([2, 20_000]))
def test_the_list_in_memory_is_always_that_in_redis(
    connection: redis.Redis, moves: list[tuple[str, str]], remembered: int
) -> None:
    """After any changes, a loss of Redis included, an old reader sees what a new one reads in full."""
    connection.flushall()
    reader, writer = Index(connection, KEYS), Index(connection, KEYS)
    usual, waiting.MAX_CHANGES = waiting.MAX_CHANGES, remembered
    try:
        for number, (move, path) in enumerate(moves):
            if move == "look":
                assert set(reader.waiting()) == set(Index(connection, KEYS).waiting())
            elif move == "forget":
                connection.flushall()
            elif move == "gone":
                writer.drop(path)
            else:
                state = "waiting" if move in ("put", "move") else "queued"
                writer.put(IndexEntry(path=path, state=state, submitted=number if move == "move" else 1.0))
        assert set(reader.waiting()) == set(Index(connection, KEYS).waiting())
    finally:
        waiting.MAX_CHANGES = usual


def test_an_unchanged_list_is_reused_and_a_change_reads_one_line(
    connection: redis.Redis,
) -> None:
    """After a change of one waiting request, the index does not read all the others again."""
    index = Index(connection, KEYS)
    index.put(*(IndexEntry(path=f"p{number}", state="waiting", submitted=number) for number in range(50)))
    before = index.waiting()
    assert len(before) == 50
    index.put(IndexEntry(path="p7", state="waiting", submitted=7))
    assert index.waiting() is before
    connection.config_resetstat()
    index.put(IndexEntry(path="p7", state="waiting", submitted=99))
    assert next(entry for entry in index.waiting() if entry.path == "p7").submitted == 99
    assert "cmdstat_hvals" not in connection.info("commandstats")


def test_costs_count_once_for_a_day_and_for_ever_by_request(connection: redis.Redis) -> None:
    """An attempt's cost counts once by its id; after a day it counts only for its request, until that is closed.

    It does not count again if its end is synced once more after an outage of days.
    """
    measures = Measures(connection, KEYS)
    cost = Cost("attempt-1", "p", "small", "ada", 100.0, ended=1_000.0)
    assert measures.spend(cost)
    assert not measures.spend(cost)
    spent = measures.spent(now=1_001.0)
    assert (spent.tiers, spent.submitters, spent.requests) == ({"small": 100.0}, {"ada": 100.0}, {"p": 100.0})
    later = measures.spent(now=1_001.0 + DAY)
    assert (later.tiers, later.submitters, later.requests) == ({}, {}, {"p": 100.0})
    assert not measures.spend(replace(cost, ended=1_001.0 + DAY))
    assert measures.spent(now=1_002.0 + DAY) == later
    measures.recall("p", 40.0)
    assert measures.spent_by("p") == 100.0
    measures.recall("p", 140.0)
    assert measures.spent_by("p") == 140.0
    measures.close("p")
    assert measures.spent_by("p") == 0.0


def test_only_the_last_measurements_count(connection: redis.Redis) -> None:
    """The board keeps only the newest 60 durations and waits of each kind."""
    measures = Measures(connection, KEYS)
    for seconds in range(100):
        measures.learn("x", 33, seconds)
        measures.waited(2, 1.5)
    assert measures.durations().measured == {("x", 33): [float(seconds) for seconds in range(40, 100)]}
    assert list(measures.experience().shares) == [3]
    assert len(measures.experience().shares[3]) == 60


def job(number: int) -> EvaluationJob:
    """Return the job message of attempt `number`."""
    return EvaluationJob(
        board="demo",
        attempt=f"0123456789ab-aaaaaaaa-{number}",
        path="p",
        model="a/b",
        revision="a" * 40,
        precision="float32",
        weight_type="Original",
        suite="x",
        suite_digest="y",
    )


def test_a_job_can_be_recalled_until_somebody_takes_it(connection: redis.Redis) -> None:
    """A recalled job can be queued again; a job that is not in the queue cannot be recalled."""
    queued = job(1)
    assert jobs.enqueue(connection, "small", queued, timeout=10)
    assert jobs.queued_attempts(connection, ["small", "large"]) == {queued.attempt: "small"}
    assert not jobs.recall(connection, "large", queued.attempt)
    assert jobs.recall(connection, "small", queued.attempt)
    assert not jobs.recall(connection, "small", queued.attempt)
    assert jobs.enqueue(connection, "large", queued, timeout=10)
    jobs.queue(connection, "large").pop_job_id()
    assert not jobs.recall(connection, "large", queued.attempt)


def test_a_worker_looks_first_where_a_job_lies_longest(connection: redis.Redis) -> None:
    """Queues are ordered by the age of their oldest job, so that no tier starves; empty queues come last."""
    queues = [jobs.queue(connection, name) for name in ("small", "medium", "large")]
    jobs.enqueue(connection, "large", job(1), timeout=10)
    jobs.enqueue(connection, "small", job(2), timeout=10)
    assert [queue.name for queue in jobs.oldest_first(connection, queues)] == ["large", "small", "medium"]
