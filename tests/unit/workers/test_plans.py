"""Run plans, and what may be imported where."""

from __future__ import annotations

import subprocess
import sys

import pytest
from pydantic import ValidationError

from tests.support.units.run_plans import PLAN
from workers.common.run_plan import RunPlan


def test_a_plan_travels_as_json() -> None:
    """A plan survives its way to the child as JSON."""
    plan = RunPlan.model_validate(PLAN)
    assert RunPlan.model_validate_json(plan.model_dump_json()) == plan


@pytest.mark.parametrize("wrong", [{"device": "cuda; rm"}, {"revision": "main"}, {"batch_size": 0}, {"token": "hf_x"}])
def test_a_plan_that_says_too_much_or_too_little_is_refused(wrong: dict[str, object]) -> None:
    """A branch instead of a commit, an unknown device, or an extra field such as a token is refused."""
    with pytest.raises(ValidationError):
        RunPlan.model_validate({**PLAN, **wrong})


LIGHT = (
    "leaderboard.suites",
    "leaderboard.results",
    "leaderboard.failures",
    "leaderboard.details",
    "workers.common.run_plan",
    "workers.evaluation.placement",
    "workers.jobs.planning",
    "workers.models.disk_store",
    "workers.jobs.provisions",
    "workers.evaluation.task_files",
    "workers.starter",
    "workers.common.diagnosis",
    "workers.models.downloads",
    "workers.publication.publish",
    "workers.evaluation.evaluate",
    "workers.models.gguf",
)


def test_the_worker_itself_imports_nothing_heavy() -> None:
    """The worker process imports no harness, no torch and no table library."""
    heavy = ("torch", "lm_eval", "datasets", "transformers", "pyarrow", "numpy")
    code = f"import sys, {', '.join(LIGHT)}; print([name for name in {heavy} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
