"""What is left to do for a job that died."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from rq.job import Job

from workers.jobs.interrupted_jobs import give_up
from workers.jobs.outbox import Wire
from workers.jobs.worker_context import Bench


@pytest.mark.parametrize("kwargs", [[], {}, {"message": "none"}])
def test_a_job_that_names_no_attempt_has_none_to_end(kwargs: Any, tmp_path: Path) -> None:
    """Whatever whoever can write to Redis put there: no error of it gets out, and nobody is told anything."""
    nobody = Wire("redis://127.0.0.1:1/0", "trial")
    bench = SimpleNamespace(slot=SimpleNamespace(attempt=tmp_path / "attempt"), worker="w")
    give_up(nobody, cast(Job, SimpleNamespace(id="forged", kwargs=kwargs)), cast(Bench, bench), None)
    assert not (tmp_path / "attempt").exists()
