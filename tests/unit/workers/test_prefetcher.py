"""Prefetching the next job's model: failures do not disturb the running job."""

from __future__ import annotations

import errno
import os
from typing import cast

import pytest

from leaderboard.attempts import attempt_id
from redis_state.jobs import EvaluationJob
from workers.jobs import prefetcher
from workers.jobs.prefetcher import Prefetcher
from workers.jobs.provisions import HubGateway

PATH, REVISION = "org/m_eval_request_False_float16_Original.json", "a" * 40
JOB = EvaluationJob(
    board="trial",
    attempt=attempt_id("trial", PATH, REVISION, 1),
    path=PATH,
    model="org/m",
    revision=REVISION,
    precision="float16",
    weight_type="Original",
    suite="starter",
    suite_digest="d",
)


def test_a_failed_fork_is_no_error_and_is_retried(monkeypatch: pytest.MonkeyPatch) -> None:
    """A failed fork raises no error in the running job, and the next poll tries the download again."""
    tries = []

    def refused() -> int:
        tries.append(1)
        raise BlockingIOError(errno.EAGAIN, "Resource temporarily unavailable")

    monkeypatch.setattr(os, "fork", refused)
    monkeypatch.setattr(prefetcher, "POLL_SECONDS", 0.0)
    fetching = Prefetcher(cast(HubGateway, None), lambda: JOB)
    for _ in range(2):
        fetching.poll()
    assert fetching.pid is None and len(tries) == 2


def test_a_malformed_job_in_the_queue_is_no_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """A malformed entry in the queue, such as a list in the place of keyword arguments, is skipped."""
    looks = []

    def peek() -> EvaluationJob | None:
        looks.append(1)
        raise AttributeError("'list' object has no attribute 'get'")

    monkeypatch.setattr(prefetcher, "POLL_SECONDS", 0.0)
    fetching = Prefetcher(cast(HubGateway, None), peek)
    for _ in range(2):
        fetching.poll()
    assert fetching.pid is None and len(looks) == 2
