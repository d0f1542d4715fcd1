"""Ending the attempt of a job whose process died."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from rq.job import Job

from workers.jobs.board_link import BoardRedis
from workers.jobs.interrupted_jobs import end_as_lost
from workers.jobs.worker_context import WorkerContext


@pytest.mark.parametrize("kwargs", [[], {}, {"message": "none"}])
def test_a_job_that_names_no_attempt_has_none_to_end(kwargs: Any, tmp_path: Path) -> None:
    """For a malformed job without an attempt, the worker raises no error and stores no outcome."""
    unreachable = BoardRedis("redis://127.0.0.1:1/0", "trial")
    worker_context = SimpleNamespace(slot=SimpleNamespace(attempt=tmp_path / "attempt"), worker="w")
    end_as_lost(
        unreachable, cast(Job, SimpleNamespace(id="forged", kwargs=kwargs)), cast(WorkerContext, worker_context), None
    )
    assert not (tmp_path / "attempt").exists()
