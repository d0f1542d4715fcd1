"""What a worker takes when it starts, and what it leaves when it ends."""

from __future__ import annotations

from pathlib import Path

import pytest

from leaderboard.attempts import Outcome, attempt_id
from workers.jobs.outbox import has_unsent_outcome, store_outcome
from workers.jobs.worker import open_worker_context
from workers.settings import WorkerSettings

BOARD = """
name: trial
title: Trial
suite: starter
repos:
  requests: trial/requests
  results: trial/results
  logs: trial/logs
  community: trial/board
  details_namespace: trial-details
"""


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> WorkerSettings:
    """Those of a worker of this machine's CPU."""
    (tmp_path / "board.yaml").write_text(BOARD)
    monkeypatch.chdir(tmp_path)
    for name, value in {
        "STEWARD_BOARD": "board.yaml",
        "STEWARD_WORK_DIR": str(tmp_path / "work"),
        "STEWARD_DEVICE": "cpu",
    }.items():
        monkeypatch.setenv(name, value)
    return WorkerSettings()


def test_a_worker_has_a_name_that_none_had_before_it(settings: WorkerSettings) -> None:
    """Also one with the same process id on the same host, as in a container that is started again after a kill."""
    with open_worker_context(settings, alone=True) as first, open_worker_context(settings, alone=True) as second:
        assert first.worker != second.worker


def test_an_outcome_that_nobody_was_told_outlives_its_worker(settings: WorkerSettings) -> None:
    """It stays in the slot when a worker is stopped while Redis is away; what else lies there goes."""
    outcome = Outcome(
        attempt=attempt_id("trial", "org/m.json", "a" * 40, 1),
        path="org/m.json",
        revision="a" * 40,
        suite="starter",
        suite_digest="d",
        started=1,
        ended=2,
        phase="publish",
    )
    with open_worker_context(settings, alone=True) as worker_context:
        store_outcome(worker_context.slot.attempt, outcome, "the log", worker=worker_context.worker)
    assert has_unsent_outcome(worker_context.slot.attempt)
    (worker_context.slot.attempt / "outcome.json").unlink()
    worker_context.slot.lock.close()
    with open_worker_context(settings, alone=True) as worker_context:
        pass
    assert not worker_context.slot.attempt.exists()
