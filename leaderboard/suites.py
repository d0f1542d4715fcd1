"""Suites: the tasks of an evaluation, and the rules that turn raw scores into benchmark scores.

A suite is a YAML file. It names tasks of the harness, or defines its own tasks (`definitions`) with questions from a
dataset repo on the Hub, or names another evaluator (`leaderboard.evaluators`) that runs its tasks. Every result stores
the digest of its suite, and a board shows results of its suite alone. `leaderboard.comparability` decides which of them
can be compared.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from functools import cached_property
from importlib import resources
from pathlib import Path
from typing import Annotated, Literal

import yaml
from pydantic import Field, StringConstraints, ValidationError, field_validator, model_validator

from leaderboard.engines import EngineName
from leaderboard.evaluators import LM_EVAL, Evaluator
from leaderboard.predictions import PredictionRules
from leaderboard.reasons import describe_errors
from leaderboard.suite_questions import Dataset, Definition, Erratum, SuitePart, TaskName

Metric = Annotated[str, StringConstraints(pattern=r"^[a-z0-9_]{1,60}(,[a-z0-9_-]{1,60})?$")]
"""A metric and a filter of the harness, as in `acc,none`; the name alone for another evaluator."""


class BadSuite(ValueError):
    """The text describes no suite; the message names every invalid field."""


def _guessing(choices: int | None) -> float:
    return 1 / choices if choices else 0.0


class Task(SuitePart):
    """One task of the harness; `choices` is the number of answers to guess from, None if guessing is impossible."""

    name: TaskName
    choices: int | None = Field(default=None, ge=2)

    @property
    def lower_bound(self) -> float:
        """The score of guessing (0-1)."""
        return _guessing(self.choices)


class Benchmark(SuitePart):
    """One column of the leaderboard.

    `source` is the task or group whose entry in the harness's results holds the raw score, the mean of its `metrics`.
    `normalise: whole` scales the raw score to 0-100 above the lower bound of `choices`; `subtasks` scales the score of
    each of `tasks` and takes the unweighted mean; without `choices` of tasks, the raw score is the mean of theirs.
    `cluster` and `stratum` concern standard errors alone (`leaderboard.uncertainty`).
    """

    name: str = Field(max_length=60)
    source: TaskName
    tasks: tuple[Task, ...] = Field(min_length=1, max_length=200)
    metrics: tuple[Metric, ...] = Field(min_length=1, max_length=4)
    shots: int = Field(ge=0, le=100)
    normalise: Literal["whole", "subtasks"] = "whole"
    choices: int | None = Field(default=None, ge=2)
    generative: bool = False
    restricted: bool = Field(
        default=False, description="whether its questions are secret: its answers go to a gated repo of their own"
    )
    cluster: str = Field(
        default="", max_length=60, description="field of a question; questions with the same value are one cluster"
    )
    stratum: str = Field(default="", max_length=60, description="field of a question that names its subject")

    @property
    def lower_bound(self) -> float:
        """The score of guessing (0-1), for a benchmark that is normalised as a whole."""
        return _guessing(self.choices)


class Suite(SuitePart):
    """One suite. `run` names the tasks, or groups of tasks, that the harness evaluates; another evaluator runs all."""

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9-]{0,60}$")
    title: str = Field(max_length=100)
    version: int = Field(ge=1)
    evaluator: Evaluator | None = Field(
        default=None,
        description="the [program](writing-an-evaluator.md) that evaluates models, as below; without it, lm-eval",
    )
    run: tuple[TaskName, ...] = Field(default=(), max_length=200)
    benchmarks: tuple[Benchmark, ...] = Field(min_length=1, max_length=50)
    datasets: tuple[Dataset, ...] = Field(min_length=1, max_length=50)
    definitions: tuple[Definition, ...] = Field(default=(), max_length=200)
    engine: EngineName | None = Field(
        default=None,
        description="how a model's answers are computed ([engines](evaluation-engine.md)); without it, the board's",
    )
    errata: tuple[Erratum, ...] = Field(
        default=(),
        max_length=2_000,
        description="questions that do not count; `steward rescore` applies the list to earlier evaluations",
    )
    predictions: PredictionRules | None = Field(
        default=None, description="that it takes [predictions](predictions.md) of its questions; without it, none"
    )

    @model_validator(mode="after")
    def _each_column_is_one_benchmark(self) -> Suite:
        names = [benchmark.name for benchmark in self.benchmarks]
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise ValueError(f"two benchmarks have the same name: {', '.join(twice)}")
        return self

    @model_validator(mode="after")
    def _predictions_can_be_scored(self) -> Suite:
        rules = self.predictions
        if rules is None:
            if problem := self.problem_of_models:
                raise ValueError(problem)
            return self
        metrics = [metric for benchmark in self.benchmarks for metric in benchmark.metrics]
        if wrong := rules.wrong_metrics(metrics):
            raise ValueError(f"no metric of predictions of the type {rules.type}: {', '.join(wrong)}")
        if len(set(self.tasks)) > 1 and not rules.task:
            raise ValueError("predictions of several tasks need `task`, the field that names the task of a question")
        if self.errata:
            raise ValueError("a suite with predictions has no errata: correct the answers, and pin their new commit")
        return self

    @field_validator("evaluator", mode="before")
    @classmethod
    def _without_the_default(cls, value: object) -> object:
        return None if value == LM_EVAL else value

    @model_validator(mode="after")
    def _fits_its_evaluator(self) -> Suite:
        metrics = {metric for benchmark in self.benchmarks for metric in benchmark.metrics}
        if self.evaluator is None:
            if not self.run:
                raise ValueError("run: name the tasks, or groups of tasks, that lm-eval evaluates")
            if bare := sorted(metric for metric in metrics if "," not in metric):
                raise ValueError(f"metrics of lm-eval have a filter, as in {bare[0]},none")
            return self
        if self.run or self.definitions or self.engine:
            raise ValueError("run, definitions and engine are for lm-eval: leave them out beside another evaluator")
        if filtered := sorted(metric for metric in metrics if "," in metric):
            raise ValueError(f"metrics of another evaluator have no filter: {filtered[0].partition(',')[0]}")
        if unknown := sorted(set(self.evaluator.reported) - metrics):
            raise ValueError(f"evaluator.reported names metrics that no benchmark has: {', '.join(unknown)}")
        if self.errata and self.evaluator.reported and self.evaluator.scores_again is None:
            raise ValueError(
                "errata cannot be left out of metrics that the evaluator reports, unless it scores stored answers "
                "again (evaluator.scores_again)"
            )
        return self

    @model_validator(mode="after")
    def _own_tasks_are_defined(self) -> Suite:
        if self.definitions:
            defined = {definition.task for definition in self.definitions}
            missing = {task.name for benchmark in self.benchmarks for task in benchmark.tasks} - defined
            if missing or len(self.datasets) != 1:
                raise ValueError(
                    f"tasks without definition: {sorted(missing)}; a suite with definitions has one dataset"
                )
        return self

    @model_validator(mode="after")
    def _errata_name_questions_once(self) -> Suite:
        named = [(erratum.task, erratum.question) for erratum in self.errata]
        if unknown := sorted({task for task, _ in named} - set(self.tasks)):
            raise ValueError(f"errata of tasks that the suite does not have: {', '.join(unknown)}")
        if len(set(named)) < len(named):
            task, question = next(each for each in named if named.count(each) > 1)
            raise ValueError(f"the errata name question {question} of {task} twice")
        return self

    @property
    def own(self) -> bool:
        """Whether the suite defines its own tasks instead of using the harness's."""
        return bool(self.definitions)

    @property
    def restricted(self) -> bool:
        """Whether any of its questions must not be public."""
        return any(benchmark.restricted for benchmark in self.benchmarks)

    @property
    def tasks(self) -> tuple[str, ...]:
        """Names of all tasks, in order."""
        return tuple(task.name for benchmark in self.benchmarks for task in benchmark.tasks)

    @property
    def shots(self) -> dict[str, int]:
        """The number of examples before each question, by task."""
        return {task.name: benchmark.shots for benchmark in self.benchmarks for task in benchmark.tasks}

    @property
    def problem_of_models(self) -> str:
        """Why no model can be evaluated with this suite; "" if models can.

        A task's samples are one table, scored by the metrics of one benchmark. Predictions have no such table.
        """
        first = dict[str, Benchmark]()
        for benchmark in self.benchmarks:
            for task in benchmark.tasks:
                other = first.setdefault(task.name, benchmark)
                if (set(other.metrics), other.shots) != (set(benchmark.metrics), benchmark.shots):
                    return (
                        f"the benchmarks {other.name} and {benchmark.name} give the task {task.name} other metrics or "
                        "shots, and a model's answers to a task are scored once: give both the same metrics and "
                        "shots, or make one benchmark of them, whose raw score is the mean of its metrics"
                    )
        return ""

    def withdrawn(self, task: str) -> frozenset[int]:
        """The numbers of the questions of `task` that do not count."""
        return frozenset(erratum.question for erratum in self.errata if erratum.task == task)

    @cached_property
    def digest(self) -> str:
        """SHA-256 of the suite as canonical JSON: 64 hexadecimal digits.

        Scores do not depend on the engine, the reasons of errata, the fields that concern standard errors alone, the
        command, the needs and `scores_again` of an evaluator, and the seasons and the quota of predictions: they are
        left out. A suite without errata, evaluator or predictions has the digest that it had before suites could have
        any.
        """
        benchmarks = {"__all__": {"cluster", "stratum"}}
        data = self.model_dump(
            mode="json",
            exclude={
                "engine": True,
                "errata": True,
                "evaluator": True,
                "benchmarks": benchmarks,
                "predictions": {"seasons", "per_week"},
            },
        )
        if self.predictions is None:
            del data["predictions"]
        if self.evaluator is not None:
            data["evaluator"] = self.evaluator.scoring
        if self.errata:
            data["errata"] = sorted([erratum.task, erratum.question] for erratum in self.errata)
        canonical = json.dumps(data, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
        return hashlib.sha256(canonical.encode()).hexdigest()

    def benchmark_of(self, task: str) -> Benchmark | None:
        """Return the benchmark to which `task` belongs."""
        return next((b for b in self.benchmarks if any(t.name == task for t in b.tasks)), None)


def parse_suite(text: str) -> Suite:
    """Parse the suite in the YAML document `text`. Raises BadSuite."""
    try:
        return Suite.model_validate(yaml.safe_load(text))
    except ValidationError as error:
        raise BadSuite(f"the suite file has invalid fields: {describe_errors(error)}") from error
    except RecursionError as error:
        raise BadSuite("the suite file is nested too deeply") from error
    except (yaml.YAMLError, ValueError) as error:  # a ValueError: an impossible date, or too many digits
        raise BadSuite(f"the suite file is not YAML: {error}") from error


def dataset_sources(suite: Suite, moved: Mapping[str, str]) -> list[Dataset]:
    """Return the suite's datasets, with copies in the place of some: `moved` maps a suite's repo to `repo` or
    `repo@commit`.

    A copy replaces repo and commit; the digest that pins the content stays.
    """
    sources = []
    for source in suite.datasets:
        repo, _, revision = moved.get(source.repo, "").partition("@")
        unchanged = not repo or (repo == source.repo and not revision)
        sources.append(source if unchanged else source.at(revision or None, repo=repo))
    return sources


def shipped() -> tuple[str, ...]:
    """Return the names of the suites that ship with Steward."""
    folder = resources.files("leaderboard") / "suites"
    return tuple(sorted(file.name.removesuffix(".yaml") for file in folder.iterdir() if file.name.endswith(".yaml")))


def find_suite(name: str) -> Suite:
    """Return the suite of this name that ships with Steward, or the suite in the file `name` (`*.yaml`).

    Reads a file: call it once, when a process starts. Raises BadSuite.
    """
    if name in shipped():
        return parse_suite((resources.files("leaderboard") / "suites" / f"{name}.yaml").read_text(encoding="utf-8"))
    path = Path(name)
    if path.suffix not in (".yaml", ".yml") or not path.is_file():
        raise BadSuite(f"There is no suite {name!r}: name one of {', '.join(shipped())}, or a YAML file that exists.")
    return parse_suite(path.read_text(encoding="utf-8"))
