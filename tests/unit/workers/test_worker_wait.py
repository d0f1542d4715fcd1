"""A worker's wait for the process of its job."""

from __future__ import annotations

import logging
import math
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
import redis
from rq.timeouts import HorseMonitorTimeoutException

from workers.jobs.rq_worker import EvaluationWorker


@pytest.fixture
def job_process() -> Iterator[subprocess.Popen[bytes]]:
    """A process that runs until it is killed, in a group of its own."""
    with subprocess.Popen(["sleep", "1000"], start_new_session=True) as process:
        yield process
        process.kill()


def waiting_worker(pid: int, *, interval: float) -> EvaluationWorker:
    """A worker that waits for process `pid` and sends a heartbeat each `interval` seconds."""
    worker = EvaluationWorker.__new__(EvaluationWorker)
    worker._horse_pid = pid
    worker.job_monitoring_interval = interval
    worker.stop_asked, worker.job_deadline = None, math.inf
    worker.prefetcher = cast(Any, SimpleNamespace(poll=lambda: None))
    worker.worker_context = cast(
        Any,
        SimpleNamespace(
            zygote_client=SimpleNamespace(stop=lambda: None), settings=SimpleNamespace(grace_seconds=1000.0)
        ),
    )
    worker.name, worker.executions, worker.log = "worker", {}, cast(Any, logging.getLogger("rq.worker"))
    return worker


def away(*_: object, **__: object) -> None:
    """Raise the error of a call to a Redis that does not answer."""
    raise redis.ConnectionError("no answer")


def test_a_busy_workers_heartbeats_need_no_alarm(job_process: subprocess.Popen[bytes]) -> None:
    """The wait raises the exception on which RQ's loop sends a heartbeat, even while SIGALRM is blocked."""
    worker = waiting_worker(job_process.pid, interval=0.1)
    blocked = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGALRM})
    try:
        with (
            pytest.raises(HorseMonitorTimeoutException),
            worker.death_penalty_class(1, HorseMonitorTimeoutException),
        ):
            worker.wait_for_horse()
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, blocked)
    assert job_process.poll() is None


def test_no_alarm_interrupts_a_worker() -> None:
    """RQ's timeouts install no alarm in a worker, which could come between a command to Redis and its answer."""
    before = signal.getsignal(signal.SIGALRM)
    with EvaluationWorker.death_penalty_class(1000, HorseMonitorTimeoutException):
        assert signal.getsignal(signal.SIGALRM) is before


def test_the_wait_ends_with_the_process(job_process: subprocess.Popen[bytes]) -> None:
    """The worker learns by which signal the process of its job ended."""
    job_process.kill()
    pid, status, _ = waiting_worker(job_process.pid, interval=1000).wait_for_horse()
    job_process.returncode = 0  # reaped by the worker
    assert (pid, status) == (job_process.pid, signal.SIGKILL)


def test_the_child_of_a_job_that_died_ends_while_redis_is_away(job_process: subprocess.Popen[bytes]) -> None:
    """If a job's process has ended, the worker stops the job's child, even if Redis does not answer."""
    worker, stopped = waiting_worker(job_process.pid, interval=1000), list[bool]()
    cast(Any, worker.worker_context).zygote_client.stop = lambda: stopped.append(True)
    job = SimpleNamespace(id="job", timeout=-1, started_at=None, get_status=away)
    job_process.kill()
    with pytest.raises(redis.ConnectionError):
        worker.monitor_work_horse(cast(Any, job), cast(Any, None), cast(Any, SimpleNamespace(id="execution")))
    job_process.returncode = 0  # reaped by the worker
    assert stopped == [True]


def test_a_job_over_its_time_is_killed_while_redis_is_away(
    job_process: subprocess.Popen[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The worker kills a job that exceeds its time, even if Redis does not answer, before it restarts its loop."""
    worker = waiting_worker(job_process.pid, interval=0.1)
    worker.job_deadline = 0.0
    monkeypatch.setattr(worker, "heartbeat", away)
    job = SimpleNamespace(id="job", timeout=-1, started_at=None, get_status=away)
    with pytest.raises(redis.ConnectionError):
        worker.monitor_work_horse(cast(Any, job), cast(Any, None), cast(Any, SimpleNamespace(id="execution")))
    assert not Path(f"/proc/{job_process.pid}").exists()
    job_process.returncode = 0  # reaped by the worker


def test_a_job_that_does_not_die_at_once_is_waited_for(
    job_process: subprocess.Popen[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    """If a killed job does not end at once, for instance in a hanging disk access, the worker waits with heartbeats."""
    worker, beats = waiting_worker(job_process.pid, interval=0.1), list[bool]()

    def beat(*_: object) -> None:
        beats.append(True)
        if len(beats) == 3:
            job_process.kill()

    worker.job_deadline = 0.0
    monkeypatch.setattr(worker, "kill_horse", lambda *_: None)
    monkeypatch.setattr(worker, "maintain_heartbeats", beat)
    job = SimpleNamespace(id="job", timeout=-1, started_at=None, get_status=away)
    with pytest.raises(redis.ConnectionError):
        worker.monitor_work_horse(cast(Any, job), cast(Any, None), cast(Any, SimpleNamespace(id="execution")))
    assert len(beats) == 3
    job_process.returncode = 0  # reaped by the worker
