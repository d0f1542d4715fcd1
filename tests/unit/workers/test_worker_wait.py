"""A worker's wait for the process of its job."""

from __future__ import annotations

import signal
import subprocess
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any, cast

import pytest
from rq.timeouts import HorseMonitorTimeoutException

from workers.jobs.rq_worker import EvaluationWorker


@pytest.fixture
def job_process() -> Iterator[subprocess.Popen[bytes]]:
    """A process that runs until it is killed."""
    with subprocess.Popen(["sleep", "1000"]) as process:
        yield process
        process.kill()


def waiting_worker(pid: int, *, interval: float) -> EvaluationWorker:
    """A worker that waits for process `pid` and sends a heartbeat each `interval` seconds."""
    worker = EvaluationWorker.__new__(EvaluationWorker)
    worker._horse_pid = pid
    worker.job_monitoring_interval = interval
    worker.stop_asked = None
    worker.prefetcher = cast(Any, SimpleNamespace(poll=lambda: None))
    return worker


def test_a_busy_workers_heartbeats_need_no_alarm(job_process: subprocess.Popen[bytes]) -> None:
    """RQ's loop sends a heartbeat on this exception; raised from an alarm alone, it may never come."""
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
    """An alarm between a command to Redis and its answer would leave the answer to the next command."""
    before = signal.getsignal(signal.SIGALRM)
    with EvaluationWorker.death_penalty_class(1000, HorseMonitorTimeoutException):
        assert signal.getsignal(signal.SIGALRM) is before


def test_the_wait_ends_with_the_process(job_process: subprocess.Popen[bytes]) -> None:
    """The worker learns by which signal the process of its job ended."""
    job_process.kill()
    pid, status, _ = waiting_worker(job_process.pid, interval=1000).wait_for_horse()
    job_process.returncode = 0  # reaped by the worker
    assert (pid, status) == (job_process.pid, signal.SIGKILL)
