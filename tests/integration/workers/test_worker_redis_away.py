"""Workers whose queue server is killed, frozen, or missing when they start."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import redis

from redis_state.heartbeats import WorkerRegistry
from redis_state.keys import Keys
from steward.testing.waiting import wait_until
from steward.valkey import Valkey
from tests.support.workers.worker_process import BOARD, AttemptQueue, WorkerProcess, job

Start = Callable[..., WorkerProcess]


@pytest.fixture
def own_valkey(tmp_path: Path) -> Valkey:
    """A queue server that a test may stop and start."""
    server = Valkey(tmp_path / "valkey")
    with server:
        yield server


def test_redis_away_while_a_child_runs_loses_nothing(own_valkey: Valkey, start_worker: Start) -> None:
    """Redis is killed during an evaluation and returns after its end: the attempt ends normally."""
    asked = job("short")
    worker = start_worker(REDIS_URL=own_valkey.url)
    with redis.Redis.from_url(own_valkey.url) as connection:
        bot = AttemptQueue(connection)
        bot.enqueue(asked)
        bot.grant(asked)
        bot.running(asked)
        (running,) = worker.pids("job")
        stop_hard(own_valkey)
        wait_until(lambda: worker.hub_verbs()[-1:] == ["published"])
        assert worker.pids("job") == [running]
        own_valkey.start()
        outcome, _ = bot.outcome(asked)
        assert outcome.ok and worker.hub_verbs().count("publish") == 1
        following = job("fine", 2)
        bot.enqueue(following)
        bot.grant(following)
        assert bot.outcome(following)[0].ok


@pytest.mark.long("the next test stops one while Redis is frozen")
def test_a_worker_can_be_stopped_while_redis_is_away(own_valkey: Valkey, start_worker: Start) -> None:
    """While Redis is away, SIGTERM still ends an idle worker."""
    worker = start_worker(REDIS_URL=own_valkey.url)
    with redis.Redis.from_url(own_valkey.url) as connection:
        wait_until(lambda: WorkerRegistry(connection, Keys(BOARD)).alive(now=time.time()))
    worker.processes()
    stop_hard(own_valkey)
    wait_until(lambda: "Redis is away" in worker.log())
    worker.process.send_signal(signal.SIGTERM)
    assert worker.process.wait(10) == 0 and worker.nothing_left()


def test_a_worker_can_be_stopped_while_redis_is_frozen(own_valkey: Valkey, start_worker: Start) -> None:
    """While Redis does not answer, SIGTERM still ends a worker in time, with all its processes."""
    worker = start_worker(REDIS_URL=own_valkey.url, STEWARD_GRACE_SECONDS="0")
    with redis.Redis.from_url(own_valkey.url) as connection:
        wait_until(lambda: WorkerRegistry(connection, Keys(BOARD)).alive(now=time.time()))
    worker.processes()
    assert own_valkey.process is not None
    own_valkey.process.send_signal(signal.SIGSTOP)
    try:
        worker.process.send_signal(signal.SIGTERM)
        assert worker.process.wait(15) == 0 and worker.nothing_left()
    finally:
        own_valkey.process.send_signal(signal.SIGCONT)
    assert "asked to stop" in worker.log()


def stop_hard(server: Valkey) -> None:
    """Kill -9 the server, as if its machine failed."""
    assert server.process is not None
    server.process.kill()
    server.process.wait()


def test_redis_missing_at_start_is_reported_with_the_setting(start_worker: Start) -> None:
    """If Redis is missing at its start, the worker exits with an error that names REDIS_URL, without a traceback."""
    worker = start_worker(REDIS_URL="redis://127.0.0.1:1/0")
    assert worker.process.wait(60) == 4
    assert "REDIS_URL" in worker.log() and "Traceback" not in worker.log()
