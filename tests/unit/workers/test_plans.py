"""Run plans, and what may be imported where."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest
from pydantic import ValidationError

from leaderboard.boards import Board
from leaderboard.engines import EngineName
from leaderboard.suite_questions import Erratum
from leaderboard.suites import Suite, find_suite
from redis_state.jobs import EvaluationJob
from tests.support.units.run_plans import PLAN
from workers.common.run_plan import RunPlan
from workers.jobs.planning import plan_of
from workers.jobs.provisions import Provisions
from workers.jobs.worker_context import WorkerContext
from workers.models.downloads import SuiteQuestions
from workers.models.tiny_model import model
from workers.settings import WorkerSettings


def test_a_plan_travels_as_json() -> None:
    """A plan that is written as JSON and read again is unchanged."""
    plan = RunPlan.model_validate(PLAN)
    assert RunPlan.model_validate_json(plan.model_dump_json()) == plan


@pytest.mark.parametrize("wrong", [{"device": "cuda; rm"}, {"revision": "main"}, {"batch_size": 0}, {"token": "hf_x"}])
def test_a_plan_that_says_too_much_or_too_little_is_refused(wrong: dict[str, object]) -> None:
    """A plan with a branch instead of a commit, an unknown device, or an extra field such as a token is refused."""
    with pytest.raises(ValidationError):
        RunPlan.model_validate({**PLAN, **wrong})


@pytest.mark.parametrize(
    ("board", "suite", "asked", "engine"),
    [
        ({}, None, None, "shared-prefix"),
        ({"engine": "harness"}, None, None, "harness"),
        ({"engine": "harness"}, "shared-prefix", None, "shared-prefix"),
        ({}, "harness", None, "harness"),
        ({}, "harness", "shared-prefix", "shared-prefix"),
    ],
)
def test_a_suites_engine_comes_before_the_boards(
    tmp_path: Path, board: dict[str, str], suite: str | None, asked: EngineName | None, engine: str
) -> None:
    """A plan has the engine asked for, else the suite's, else the board's, else `shared-prefix`."""
    suite_file = find_suite("open-llm-v2").model_copy(update={"engine": suite})
    assert planned(tmp_path, suite_file, board, asked).engine == engine


def planned(folder: Path, suite: Suite, board: dict[str, str], engine: EngineName | None = None) -> RunPlan:
    """The plan of a job of `suite`, on a board with these further fields."""
    for name, data in model().items():
        (folder / name).write_bytes(data)
    repos = {name: f"trial/{name}" for name in ("requests", "results", "logs", "community")}
    fields = {"name": "trial", "title": "Trial", "suite": "starter", "repos": {**repos, "details_namespace": "trial"}}
    context = SimpleNamespace(
        settings=WorkerSettings(), board=Board.model_validate({**fields, **board}), suite=suite, devices=(),
        zygote_client=SimpleNamespace(ready=None), slot=SimpleNamespace(attempt=folder, spool=folder / "spool"),
    )  # fmt: skip
    attempt, revision = RunPlan.model_validate(PLAN).attempt, "0" * 40
    job = EvaluationJob(
        board="trial", attempt=attempt, path="org/m.json", model="org/m", revision=revision, precision="float32",
        weight_type="Original", suite=suite.name, suite_digest=suite.digest,
    )  # fmt: skip
    provisions = Provisions(folder, SuiteQuestions(folder, {}))
    return plan_of(cast(WorkerContext, context), job, provisions, seconds=60, engine=engine)


def test_a_plan_names_the_questions_that_do_not_count(tmp_path: Path) -> None:
    """A plan lists the questions that the suite's errata withdraw, by task."""
    wrong = [Erratum(task="leaderboard_ifeval", question=number, reason="wrong") for number in (7, 3)]
    suite = find_suite("open-llm-v2").model_copy(update={"errata": tuple(wrong)})
    assert planned(tmp_path, suite, {}).withdrawn == {"leaderboard_ifeval": (3, 7)}


LIGHT = (
    "leaderboard.suites",
    "leaderboard.results",
    "leaderboard.failures",
    "leaderboard.details",
    "workers.common.run_plan",
    "workers.evaluation.placement",
    "workers.jobs.planning",
    "workers.models.blobs",
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
    process = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert process.stdout.strip() == "[]"


def test_a_forked_process_imports_no_library_to_publish(tmp_path: Path) -> None:
    """After `import_libraries`, writing a table imports no module, which would cost each forked process a second."""
    code = (
        "import sys; from pathlib import Path; from workers.publication import details, publish; "
        "publish.import_libraries(); before = set(sys.modules); import leaderboard.uncertainty; "
        "row = dict.fromkeys(details.TEXTS, '[]') | {'doc_id': 0, 'score': 1.0}; "
        "details.write_rows([row], Path(sys.argv[1])); "
        "print('pyarrow' in before, sorted(set(sys.modules) - before))"
    )
    command = [sys.executable, "-c", code, str(tmp_path / "table")]
    process = subprocess.run(command, capture_output=True, text=True, check=True)
    assert process.stdout.split() == ["True", "[]"]
