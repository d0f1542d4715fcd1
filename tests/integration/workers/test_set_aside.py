"""A worker that the bot set aside takes no jobs."""

from __future__ import annotations

import logging
from types import SimpleNamespace
from typing import Any

import pytest
import redis

from leaderboard.suites import find_suite
from redis_state.attempts import Attempts
from redis_state.heartbeats import WorkerCard
from redis_state.keys import Keys
from redis_state.set_aside import SetAsideWorker, SetAsideWorkers, account_name, names_of
from workers.jobs.operator_hold import OperatorHold


def test_a_worker_that_is_set_aside_takes_no_job_and_says_why_once(
    valkey_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    """A worker that the bot set aside takes no job and logs the reason once; a worker with another name takes jobs."""
    connection, keys = redis.Redis.from_url(valkey_url), Keys("fresh")
    aside = SetAsideWorker(worker="w1", attempt="a", path="p", reason="other scores", at=1.0)
    SetAsideWorkers(connection, keys).put(aside)
    attempts = Attempts(connection, keys)

    def hold(name: str) -> OperatorHold:
        context: Any = SimpleNamespace(worker=name, account="", suite=find_suite("starter"))
        board_redis: Any = SimpleNamespace(attempts=lambda: attempts)
        return OperatorHold(context, board_redis)

    first, second = hold("w1"), hold("w2")
    with caplog.at_level(logging.WARNING):
        assert [first.applies() for _ in range(2)] == [True, True]
        assert not second.applies()
    assert [record.getMessage() for record in caplog.records] == [
        "the worker takes no job: the bot set it aside, because of results that it, or its account, published. "
        "The maintainers' thread says more."
    ]


def test_all_workers_of_an_account_that_is_set_aside_take_no_job(valkey_url: str) -> None:
    """Every worker of an account that was set aside counts as set aside; workers of other accounts do not."""
    connection, keys = redis.Redis.from_url(valkey_url), Keys("fresh-accounts")
    aside = SetAsideWorkers(connection, keys)
    name = account_name("Eve")
    aside.put(SetAsideWorker(worker=name, account="Eve", attempt="a", path="p", reason="other answers", at=1.0))
    assert aside.includes("w1", "eve")
    assert not aside.includes("w1", "ada") and not aside.includes("eve")
    cards = [WorkerCard(name="w", tiers=(), since=1, beat=1, account=account) for account in ("EVE", "ada", "")]
    assert [name in names_of(card) for card in cards] == [True, False, False]
