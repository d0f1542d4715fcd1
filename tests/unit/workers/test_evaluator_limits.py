"""What works with lm-eval alone says so for other evaluators, and memory that is short."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from leaderboard.evidence import FailureEvidence
from leaderboard.results import StewardBlock, dump, with_block
from tests.support.evaluators.suites import suite, suite_fields
from tests.support.units.run_plans import PLAN
from tests.unit.leaderboard.test_evaluator_needs import BLOCK, BOARD
from workers.common.run_plan import RunPlan
from workers.errors import RescoringRefused
from workers.evaluation.evaluator_command import evaluator_command
from workers.jobs import verification
from workers.jobs.planning import smaller_batch
from workers.rescoring.rescorer import Rescorer
from workers.settings import WorkerSettings


def test_answers_of_other_evaluators_are_not_scored_again(tmp_path: Path) -> None:
    """The reason is told before any table is read."""
    block = StewardBlock.model_validate({**BLOCK, "evaluator": {"name": "pairs", "version": "1.0"}})
    with pytest.raises(RescoringRefused, match="pairs evaluated it: only answers that lm-eval scored"):
        Rescorer(suite(), 1).rescore(dump(with_block({"results": {}}, block)), tmp_path, source="", at="")


def test_evaluations_by_others_are_not_run_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`steward verify` and `steward reproduce` refuse them before they look for the attempt."""
    for name in ("hide_from_same_user", "adopt_orphans"):
        monkeypatch.setattr(verification.kernel, name, lambda: None)
    (tmp_path / "suite.yaml").write_text(yaml.safe_dump(suite_fields()))
    board = BOARD.model_dump(mode="json", include={"name", "title", "repos"}, exclude_none=True)
    (tmp_path / "board.yaml").write_text(yaml.safe_dump({**board, "suite": str(tmp_path / "suite.yaml")}))
    monkeypatch.setenv("STEWARD_BOARD", str(tmp_path / "board.yaml"))
    with (
        pytest.raises(
            verification.CannotVerify, match="pairs evaluates the suite pairs, and only evaluations by lm-eval"
        ),
        verification.worker_for(WorkerSettings(), "0123456789ab-01234567-1", "org/m"),
    ):
        pass


def test_lack_of_memory_ends_at_one_question_at_a_time() -> None:
    """No engine can be left out: the evaluator is not run again as it was."""
    plan = RunPlan.model_validate({**PLAN, "evaluator": evaluator_command(suite()), "batch_size": 2})
    short = FailureEvidence("evaluate", "EvaluatorEnded", stopped="memory-limit")
    assert smaller_batch(short, plan) == 1
    assert smaller_batch(short, plan.model_copy(update={"batch_size": 1})) is None
