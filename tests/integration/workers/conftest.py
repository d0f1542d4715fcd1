"""Fixtures: the bot's side of the queue, and workers that end with the test."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import redis

from tests.support.workers.child_runs import ChildRuns, run_children
from tests.support.workers.real_worker import RealWorker, running_worker, upload_questions
from tests.support.workers.reference_scores import ReferenceScores, reference_scores
from tests.support.workers.worker_process import AttemptQueue, WorkerProcess, worker_starter


@pytest.fixture(
    scope="package",
    params=["some-tasks", pytest.param("all-tasks", marks=pytest.mark.long("the harness loads the others alike"))],
)
def reference(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ReferenceScores]:
    """The results of the `lm_eval` command, which runs at the same time as the worker."""
    folder = tmp_path_factory.mktemp("reference")
    with reference_scores(folder, all_tasks=request.param == "all-tasks") as commands:
        yield commands


@pytest.fixture(scope="package")
def runs(reference: ReferenceScores, tmp_path_factory: pytest.TempPathFactory) -> ChildRuns:
    """Evaluations by child processes, which run at the same time as the `lm_eval` commands."""
    return run_children(tmp_path_factory.mktemp("scores"), reference)


@pytest.fixture(scope="package")
def real_worker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealWorker]:
    """A real worker (`steward work`) with a Hub and a queue, for a suite of a dozen questions.

    It stops a child that reports no progress for 20 seconds.
    """
    with running_worker(tmp_path_factory.mktemp("worker")) as worker:
        upload_questions(worker)
        worker.start_worker(STEWARD_BATCH_SIZE="4", STEWARD_STALL_SECONDS="20")
        yield worker


@pytest.fixture
def bot(connection: redis.Redis) -> AttemptQueue:
    """The bot's side of an empty queue."""
    return AttemptQueue(connection)


@pytest.fixture
def start_worker(valkey_url: str, tmp_path: Path) -> Iterator[Callable[..., WorkerProcess]]:
    """Starts workers, and ends them after the test; fails if a process is left running."""
    with worker_starter(tmp_path, valkey_url) as start:
        yield start
