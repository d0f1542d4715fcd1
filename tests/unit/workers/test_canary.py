"""How a worker reports a canary, a model known to work, that cannot run."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import pytest

from redis_state.jobs import EvaluationJob
from workers.common.logs import BoundedLog
from workers.common.run_plan import RunPlan
from workers.errors import CanaryFailed, DiskFull, ModelGone
from workers.jobs.attempt_evaluation import AttemptEvaluation
from workers.jobs.board_link import BoardLink
from workers.jobs.canary import evaluate_canary, run_canary
from workers.jobs.provisions import Provisions
from workers.publication.spool import Publication

JOB = EvaluationJob(
    board="b", attempt="0123456789ab-01234567-1", path="p", model="ada/tiny", revision="a" * 40,
    precision="float32", weight_type="Original", suite="s", suite_digest="d",
)  # fmt: skip


class OneCanary:
    """A fake canary order for a suite, due because attempts failed with one cause."""

    key = "outbreak:s"

    def __init__(self) -> None:
        self.released = False
        self.verdicts: list[str] = []

    def take(self, worker: str) -> str:
        """The cause for which it is due."""
        return "network"

    def release(self, worker: str) -> None:
        """Record that the worker gave the canary back."""
        self.released = True

    def report(self, worker: str, verdict: Any) -> None:
        """Record the verdict."""
        self.verdicts.append(verdict.died_of)


def evaluation_whose_canary(error: Exception) -> AttemptEvaluation:
    """The evaluation of a worker that cannot download its canary because of `error`."""

    def fetch(job: EvaluationJob) -> Provisions:
        assert job.model == "org/canary"
        raise error

    worker_context = SimpleNamespace(
        settings=SimpleNamespace(canary=f"org/canary@{'b' * 40}"), hub_gateway=SimpleNamespace(fetch=fetch), secrets=()
    )
    parts = SimpleNamespace(worker_context=worker_context, log=BoundedLog(), job=JOB, phase="download")
    return cast(AttemptEvaluation, parts)


def _nothing_published(plan: RunPlan) -> Publication:
    raise AssertionError("the canary was not evaluated")


def run_canary_of(error: Exception) -> OneCanary:
    """Run a canary whose download raises `error`, and return its recorded order."""
    canary, evaluation = OneCanary(), evaluation_whose_canary(error)
    link = cast(BoardLink, SimpleNamespace(canaries=lambda _: canary, mark_key=lambda _: None))
    with pytest.raises((CanaryFailed, type(error))):
        run_canary(link, "s", "w", lambda: evaluate_canary(evaluation, cast(Provisions, None), _nothing_published))
    return canary


def test_a_canary_that_is_gone_is_no_fault_of_the_submitted_model() -> None:
    """The worker reports a missing canary as a failed canary, and not the submitted model as missing."""
    canary = run_canary_of(ModelGone("org/canary cannot be read"))
    assert canary.verdicts == ["model-gone (org/canary cannot be read)"]


def test_a_canary_that_was_not_tried_is_given_back() -> None:
    """After an error of its own machine, the worker releases the canary without a verdict, for another worker."""
    canary = run_canary_of(DiskFull("not enough free disk space"))
    assert (canary.released, canary.verdicts) == (True, [])
