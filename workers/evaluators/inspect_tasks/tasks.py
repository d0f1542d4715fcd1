"""Makes the tasks of a plan: inspect-ai's own objects, from an eval.yaml or from an installed package.

It refuses a task whose object needs a sandbox with tools, another model, or the network, before the model is loaded. A
need that shows only while the task runs becomes an error of its questions.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import datasets
from inspect_ai import Epochs, Task
from inspect_ai import scorer as scorers
from inspect_ai import solver as solvers
from inspect_ai.dataset import MemoryDataset, Sample
from inspect_ai.util import registry_info

from workers.evaluators.inspect_tasks.eval_yaml import BenchmarkStep, BenchmarkTask, question_of, read_task
from workers.evaluators.inspect_tasks.settings import CannotEvaluate, InspectOptions, TaskSource, one_line

_GRADED_BY_A_MODEL = "model_graded"
"""Part of the names of scorers that ask a model."""


def make_tasks(plan: Mapping[str, Any], options: InspectOptions) -> dict[str, Task]:
    """The task of each name of the plan. Raises CannotEvaluate."""
    folders = {questions["repo"]: Path(questions["folder"]) for questions in plan["questions"]}
    tasks = {}
    for task in plan["tasks"]:
        name = task["name"]
        source = options.tasks.get(name, TaskSource())
        made = _of_package(name, source) if source.function else _of_dataset(name, source, folders, plan["seed"])
        _refuse_what_cannot_run(name, made)
        tasks[name] = made
    return tasks


# --- of an installed package


def _of_package(name: str, source: TaskSource) -> Task:
    module, _, function = source.function.partition(":")
    try:
        made = getattr(importlib.import_module(module), function)(**source.args)
    except Exception as error:  # untrusted code may raise anything
        raise CannotEvaluate("evaluator", f"task {name}: {source.function} fails: {one_line(error)}") from error
    if isinstance(made, list) and len(made) == 1:
        (made,) = made
    if not isinstance(made, Task):
        raise CannotEvaluate(
            "evaluator", f"task {name}: {source.function} gives a {type(made).__name__}, and no Task of inspect-ai"
        )
    return made


# --- of an eval.yaml


def _of_dataset(name: str, source: TaskSource, folders: Mapping[str, Path], seed: int) -> Task:
    repo = source.dataset or next(iter(folders), "")
    if repo not in folders:
        raise CannotEvaluate("evaluator", f"task {name}: the suite has no dataset {repo or 'at all'}")
    task = read_task(folders[repo], source.id, name)
    questions = MemoryDataset(_samples(name, task, folders[repo]), name=repo)
    if task.shuffle_choices:
        questions.shuffle_choices(seed)
    return Task(
        name=name,
        dataset=questions,
        solver=[_made(name, solvers, step) for step in task.solvers],
        scorer=[_made(name, scorers, step) for step in task.scorers],
        epochs=Epochs(task.epochs, task.epoch_reducer),
    )


def _samples(name: str, task: BenchmarkTask, folder: Path) -> Sequence[Sample]:
    """The questions of a split, from the files of the dataset's repo."""
    try:
        rows = datasets.load_dataset(str(folder), task.config, split=task.split)  # nosec B615  # a folder: no network
    except Exception as error:  # datasets raises errors of many kinds
        where = f"config {task.config}, split {task.split}"
        raise CannotEvaluate("evaluator", f"task {name}: {where} cannot be read: {one_line(error)}") from error
    try:
        return [Sample(**question_of(row, task.field_spec)) for row in rows]
    except (KeyError, IndexError, TypeError, ValueError) as error:
        words = f"task {name}: a row does not have what field_spec says: {one_line(error)}"
        raise CannotEvaluate("evaluator", words) from error


def _made(name: str, module: Any, step: BenchmarkStep) -> Any:
    """The solver or scorer of inspect-ai that `step` names. Raises CannotEvaluate."""
    try:
        return getattr(module, step.name)(**step.args)
    except Exception as error:  # wrong arguments, templates, patterns; packages that are not installed
        raise CannotEvaluate("evaluator", f"task {name}: {step.name} cannot be made: {one_line(error)}") from error


# --- what cannot run here


def _refuse_what_cannot_run(name: str, task: Task) -> None:
    if not len(task.dataset):
        raise CannotEvaluate("evaluator", f"task {name} has no questions")
    if task.sandbox or any(sample.sandbox or sample.files or sample.setup for sample in task.dataset):
        raise CannotEvaluate("evaluator", f"task {name} needs a sandbox with tools, and there is none here")
    if task.model or task.model_roles:
        raise CannotEvaluate("evaluator", f"task {name} names a model of its own: only the submitted one is asked")
    for scorer in task.scorer or ():
        if _GRADED_BY_A_MODEL in (scored_by := registry_info(scorer).name):
            raise CannotEvaluate("evaluator", f"task {name}: {scored_by} asks a model to grade the answers")
    if not task.scorer:
        raise CannotEvaluate("evaluator", f"task {name} has no scorer")
