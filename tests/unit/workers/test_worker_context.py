"""The worker's context: what a worker acquires at its start and releases at its end."""

from __future__ import annotations

from pathlib import Path

import pytest

from leaderboard.attempts import Outcome, attempt_id
from redis_state.errors import SecretMissing
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
    """Settings of a worker on the CPU."""
    (tmp_path / "board.yaml").write_text(BOARD)
    monkeypatch.chdir(tmp_path)
    for name, value in {
        "STEWARD_BOARD": "board.yaml",
        "STEWARD_WORK_DIR": str(tmp_path / "work"),
        "STEWARD_DEVICE": "cpu",
    }.items():
        monkeypatch.setenv(name, value)
    for name in ("STEWARD_WORKER_TOKEN", "STEWARD_WORKER_TOKEN_FILE"):
        monkeypatch.delenv(name, raising=False)
    return WorkerSettings()


def test_a_worker_without_a_token_does_not_start(settings: WorkerSettings) -> None:
    """A worker without a token raises an error at its start, because it could not publish results."""
    assert settings.token() is None
    with pytest.raises(SecretMissing, match="Set STEWARD_WORKER_TOKEN, or"), open_worker_context(settings):
        pass


def test_a_worker_has_a_name_that_none_had_before_it(settings: WorkerSettings) -> None:
    """Names differ even for the same host and process id, as in a restarted container."""
    with open_worker_context(settings, alone=True) as first, open_worker_context(settings, alone=True) as second:
        assert first.worker != second.worker


def test_an_unsent_outcome_is_kept_when_the_worker_ends(settings: WorkerSettings) -> None:
    """An unsent outcome stays in the slot when the worker ends; other files are removed."""
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
