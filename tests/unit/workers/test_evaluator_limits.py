"""Other evaluators than lm-eval: which features are refused, and what the worker does when memory is short."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from leaderboard.evidence import FailureEvidence
from leaderboard.results import dump
from leaderboard.steward_block import StewardBlock, with_block
from leaderboard.suites import Suite, find_suite
from tests.support.evaluators.suites import suite
from tests.support.units.run_plans import PLAN
from tests.unit.leaderboard.test_evaluator_needs import BLOCK
from workers.common.diagnosis import diagnose
from workers.common.logs import BoundedLog
from workers.common.run_plan import RunPlan
from workers.errors import RescoringRefused
from workers.evaluation.evaluator_command import evaluator_command
from workers.evaluation.evaluator_process import evaluator_plan
from workers.jobs import recorded_attempt, verification
from workers.jobs.evaluator_trial import MODEL, EvaluatorTrial
from workers.jobs.planning import smaller_batch
from workers.jobs.reproduction import OtherSettings, reproduce
from workers.rescoring.rescorer import Rescorer


def test_the_harness_does_not_score_answers_of_other_evaluators(tmp_path: Path) -> None:
    """Rescoring with lm-eval is refused if another evaluator produced the stored results."""
    block = StewardBlock.model_validate({**BLOCK, "evaluator": {"name": "pairs", "version": "1.0"}})
    with pytest.raises(RescoringRefused, match="pairs evaluated it, and the suite is scored by lm-eval"):
        Rescorer(find_suite("starter"), 1).rescore(dump(with_block({"results": {}}, block)), tmp_path, source="", at="")


def test_engines_and_examples_of_lm_eval_are_refused() -> None:
    """`steward verify` and `steward reproduce` refuse options of lm-eval for results of another evaluator."""
    block = StewardBlock.model_validate({**BLOCK, "evaluator": {"name": "pairs", "version": "1.0"}})
    recorded = cast(recorded_attempt.RecordedAttempt, SimpleNamespace(block=block))
    with pytest.raises(recorded_attempt.CannotVerify, match="pairs evaluated it, which has no engines"):
        verification.verify(cast(Any, None), cast(Any, None), recorded, BoundedLog(), "harness")
    for other in (OtherSettings(engine="harness"), OtherSettings(shots=2)):
        with pytest.raises(recorded_attempt.CannotVerify, match="can be tried with lm-eval"):
            reproduce(cast(Any, None), cast(Any, None), recorded, None, other)


def test_lack_of_memory_ends_at_one_question_at_a_time() -> None:
    """After a lack of memory the worker halves the evaluator's batch size, and does not retry at batch size 1."""
    plan = RunPlan.model_validate({**PLAN, "evaluator": evaluator_command(suite()), "batch_size": 2})
    short = FailureEvidence("evaluate", "EvaluatorEnded", stopped="memory-limit")
    assert smaller_batch(short, plan) == 1
    assert smaller_batch(short, plan.model_copy(update={"batch_size": 1})) is None


def test_a_gpu_without_memory_is_known_by_the_evaluators_log() -> None:
    """The worker finds a GPU out of memory in the evaluator's log, as it does not see the process's exception."""
    plan = RunPlan.model_validate({**PLAN, "evaluator": evaluator_command(suite()), "batch_size": 2})
    log = "    return forward(x)\ntorch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2.00 GiB. GPU 0 has …\n"
    ended = FailureEvidence("evaluate", "EvaluatorEnded", "it ended with status 1", log_tail=log)
    assert diagnose(ended).cause == "gpu-out-of-memory"
    assert smaller_batch(ended, plan) == 1
    assert diagnose(replace(ended, log_tail="ValueError: no such task")).cause == "evaluator-ended"


@pytest.mark.parametrize(
    "line",
    ["MemoryError", "MemoryError: no room", "numpy._core._exceptions._ArrayMemoryError: Unable to allocate 8.00 GiB"],
)
def test_a_machine_without_memory_is_known_by_the_evaluators_log(line: str) -> None:
    """The worker finds an error of memory in the evaluator's log, and no other line that has the word."""
    plan = RunPlan.model_validate({**PLAN, "evaluator": evaluator_command(suite()), "batch_size": 2})
    log = f"Traceback (most recent call last):\n    table = bytearray(size)\n{line}\n"
    ended = FailureEvidence("evaluate", "EvaluatorEnded", "it ended with status 1", log_tail=log)
    assert diagnose(ended).cause == "out-of-memory"
    assert smaller_batch(ended, plan) == 1
    assert diagnose(replace(ended, log_tail=f"answer: {line}\nValueError: x\n")).cause == "evaluator-ended"


@pytest.mark.parametrize(
    ("config", "dtype"),
    [({"dtype": "bfloat16"}, "bfloat16"), ({"torch_dtype": "torch.float32"}, "float32"), ({}, "float16"),
     ({"dtype": "float8_e4m3fn"}, "float16")],
)  # fmt: skip
def test_an_evaluator_gets_the_dtype_of_a_quantised_checkpoint(
    tmp_path: Path, config: dict[str, str], dtype: str
) -> None:
    """Instead of `auto`, an evaluator gets the dtype in the model's config, or float16 if the contract lacks it."""
    (tmp_path / "config.json").write_text(json.dumps(config))
    command = evaluator_command(suite())
    plan = RunPlan.model_validate({**PLAN, "evaluator": command, "dtype": "auto", "model_path": tmp_path})
    assert evaluator_plan(plan).model.dtype == dtype
    assert evaluator_plan(plan.model_copy(update={"dtype": "float32"})).model.dtype == "float32"


def test_the_check_names_withdrawn_questions(tmp_path: Path) -> None:
    """The plan of `steward evaluator check` has the withdrawn questions of each task, in order."""
    fields = suite().model_dump(mode="json")
    errata = [{"task": "nearer", "question": number, "reason": "Wrong."} for number in (3, 1)]
    sandbox = SimpleNamespace(slot=SimpleNamespace(folder=tmp_path, spool=tmp_path))
    trial = EvaluatorTrial(Suite.model_validate({**fields, "errata": errata}), cast(Any, sandbox), tmp_path)
    plan = trial._plan(MODEL, seconds=1, limit=None, model=tmp_path)
    assert plan.withdrawn == {"nearer": (1, 3)}
