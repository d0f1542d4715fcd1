"""Evaluations by children of one worker process, in a network namespace without interfaces."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import yaml

from leaderboard.suite_questions import Dataset
from leaderboard.suites import Suite, parse_suite
from localhub.testing import LocalHub
from tests.support.workers import evaluation_script
from tests.support.workers.evaluation_inputs import MODEL, QUESTIONS, STARTER, access, plan, upload, upload_questions
from tests.support.workers.real_worker import SUITE, question_files
from tests.support.workers.reference_scores import ReferenceScores, ScriptRun, world
from workers.common.run_plan import RunPlan
from workers.evaluation.task_files import write_tasks
from workers.models.downloads import SuiteQuestions, fetch_datasets, fetch_model
from workers.models.tiny_model import model as model_files

CHILD = Path(evaluation_script.__file__)
QUICK = parse_suite(yaml.safe_dump(SUITE))
GPQA = Dataset(repo="ada/gpqa", configs=("gpqa_diamond",))


@dataclass(frozen=True)
class ChildRuns:
    """The spools of several evaluations by child processes; `said` is what the child of `starter` printed.

    `starter` (the starter suite) and `first` (`open-llm-v1`) use the harness's own engine, the others the default
    engine: `by_prefix` is the starter suite again, and `gpqa` a task of the harness. One child (`alone`), two copies of
    it that share the questions (`together`), and a child with the chat template (`chat`) evaluate the suite QUICK.
    """

    starter: Path
    said: str
    by_prefix: Path
    first: Path
    gpqa: Path
    alone: Path
    together: Path
    chat: Path


def unshared() -> list[str]:
    """The command that starts a process without a network; empty if this machine cannot."""
    for way in (["unshare", "--net"], ["unshare", "--net", "--map-root-user"]):
        if shutil.which("unshare") and subprocess.run([*way, "true"], capture_output=True, check=False).returncode == 0:
            return way
    return []


def planned(folder: Path, tasks: Path, questions: Path, model: Path, revision: str) -> RunPlan:
    """Return a plan whose spool is `folder`."""
    folder.mkdir()
    return plan(folder).model_copy(
        update={
            "revision": revision,
            "model_path": model,
            "task_folder": tasks,
            "datasets": questions,
            "batch_size": 16,
        }
    )


def child(folder: Path, *plans: RunPlan) -> ScriptRun:
    """Start a child for each of `plans`, one after the other, in a network namespace without interfaces."""
    orders = [str(run_plan.spool.with_suffix(".json")) for run_plan in plans]
    for order, run_plan in zip(orders, plans, strict=True):
        Path(order).write_text(run_plan.model_dump_json())
    return ScriptRun.start(folder, *unshared(), sys.executable, str(CHILD), "run", *orders)


def run_children(folder: Path, reference: ReferenceScores) -> ChildRuns:
    """Run the evaluations, one after the other, of the model and the tasks whose scores `reference` computes."""
    hub, revision = reference.hub, reference.revision
    upload_gpqa(hub, GPQA.repo)
    upload(hub, *question_files())
    questions = fetch_datasets(all_questions(reference.first), access(hub), folder / "cache")
    model = fetch_model(MODEL, revision, access(hub), folder / "models")
    tasks = write_tasks(STARTER, folder / "tasks", repo=QUESTIONS, revision=questions.revisions[QUESTIONS])
    by_prefix = planned(folder / "by_prefix", tasks, questions.folder, model, revision)
    starter = planned(folder / "starter", tasks, questions.folder, model, revision)
    starter = starter.model_copy(update={"engine": "harness"})
    others = [
        by_prefix,
        first(folder, starter, reference.first),
        gpqa(folder, by_prefix),
        *copies(folder, by_prefix, questions),
    ]
    said = child(folder / "children.said", starter, *others).end()
    return ChildRuns(starter.spool, said.splitlines()[0], *(other.spool for other in others))


def all_questions(first_suite: Suite) -> Suite:
    """Return a suite with the questions of all evaluations: each process that fetches some imports a large library."""
    sources = (*STARTER.datasets, *first_suite.datasets, GPQA, *QUICK.datasets)
    return STARTER.model_copy(update={"name": "all", "datasets": sources})


def evaluate_by_prefix(folder: Path, command: Sequence[str], **plans: dict[str, Any]) -> dict[str, Path]:
    """Evaluate the starter suite by shared prefixes once for each of `plans`, changes to the plan; return the spools.

    `command`: what Python runs in place of `CHILD`.
    """
    write_model(folder / "model", model_files())
    with LocalHub(folder / "hub", world()) as hub:
        commit = upload_questions(hub)
        questions = fetch_datasets(STARTER, access(hub), folder / "cache").folder
    tasks = write_tasks(STARTER, folder / "tasks", repo=STARTER.datasets[0].repo, revision=commit)
    orders = []
    for name, changes in plans.items():
        plan = planned(folder / name, tasks, questions, folder / "model", "0" * 40)
        orders.append(folder / f"{name}.json")
        orders[-1].write_text(plan.model_copy(update={"engine": "shared-prefix", **changes}).model_dump_json())
    ScriptRun.start(folder / "said", sys.executable, *command, "run", *map(str, orders)).end()
    return {name: folder / name for name in plans}


def write_model(folder: Path, files: dict[str, bytes]) -> Path:
    """Write a model's files to a new folder, and return it."""
    folder.mkdir(parents=True)
    for name, data in files.items():
        (folder / name).write_bytes(data)
    return folder


def first(folder: Path, like: RunPlan, suite: Suite) -> RunPlan:
    """Return a plan of `suite`, which is `open-llm-v1`, for the model of the plan `like` and by its engine."""
    run = planned(folder / "first", folder, like.datasets, like.model_path, like.revision)
    changes = {"task_folder": None, "shots": suite.shots, "batch_size": 8, "engine": like.engine}
    return of_suite(run, suite).model_copy(update=changes)


def of_suite(run: RunPlan, suite: Suite) -> RunPlan:
    """Return the plan `run` for another suite."""
    return run.model_copy(update={"tasks": suite.run, "suite": suite.name, "suite_digest": suite.digest})


def copies(folder: Path, like: RunPlan, questions: SuiteQuestions) -> list[RunPlan]:
    """Return plans of a dozen questions for the model of `like`: one child, two copies, and with its chat template."""
    (repo,) = (source.repo for source in QUICK.datasets)
    tasks = write_tasks(QUICK, folder / "quick-tasks", repo=repo, revision=questions.revisions[repo])
    together = {"spread": "copies", "copies": 2}
    spread: dict[str, dict[str, Any]] = {"alone": {}, "together": together, "chat": {"use_chat_template": True}}
    runs = [
        of_suite(planned(folder / name, tasks, questions.folder, like.model_path, like.revision), QUICK)
        for name in spread
    ]
    return [
        run.model_copy(update={"batch_size": 2, **changes}) for run, changes in zip(runs, spread.values(), strict=True)
    ]


def gpqa(folder: Path, like: RunPlan) -> RunPlan:
    """A plan of one of the harness's own tasks, with questions like its own, for the model of the plan `like`."""
    tasks = gpqa_tasks(folder / "gpqa-tasks", GPQA.repo)
    run = planned(folder / "gpqa", tasks, like.datasets, like.model_path, like.revision)
    return run.model_copy(update={"tasks": ("leaderboard_gpqa_diamond",)})


NAMES = ("Incorrect Answer 1", "Incorrect Answer 2", "Incorrect Answer 3", "Correct Answer")


def gpqa_questions() -> list[dict[str, str]]:
    """Questions with the fields of GPQA."""
    return [{"Question": f"Question {i}?", **{name: f"{name[0]}{i}{name[-1]}" for name in NAMES}} for i in range(9)]


def upload_gpqa(hub: LocalHub, repo: str) -> None:
    """Upload the questions in GPQA's format."""
    lines = "".join(json.dumps(row) + "\n" for row in gpqa_questions()).encode()
    card = b"---\nconfigs:\n- {config_name: gpqa_diamond, data_files: [{split: train, path: d.jsonl}]}\n---\n"
    upload(hub, repo, {"README.md": card, "d.jsonl": lines}, "dataset")


def gpqa_tasks(folder: Path, repo: str) -> Path:
    """The harness's own task, with its questions in `repo`."""
    harness = find_spec("lm_eval")
    assert harness is not None
    shipped = Path(harness.origin or "").parent / "tasks/leaderboard/gpqa"
    folder.mkdir()
    for name in ("_template_yaml", "utils.py", "gpqa_diamond_zeroshot.yaml"):
        (folder / name).write_text((shipped / name).read_text().replace("Idavidrein/gpqa", repo))
    return folder
