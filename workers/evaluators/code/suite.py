"""Reads a suite's options, metrics and problems for the evaluator of code."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from workers.evaluators.code.answers import PREFIX, Question
from workers.evaluators.code.runner import CodeProblem, SolutionLimits, SuiteUnusable

Text = Annotated[str, Field(min_length=1, max_length=200)]


class CodeOptions(BaseModel):
    """The suite's options for the evaluator of code, with their defaults."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    samples: int = Field(default=1, ge=1, le=1_000)
    """Answers to each problem; pass_at_k needs k at least."""
    temperature: float = Field(default=0.0, ge=0.0, le=10.0)
    """0: greedy."""
    top_p: float = Field(default=1.0, gt=0.0, le=1.0)
    max_new_tokens: int = Field(default=512, ge=1, le=32_768)
    stop: tuple[Text, ...] = ("\nclass", "\ndef", "\n#", "\nif", "\nprint")
    """Texts that end an answer, unless the chat template is used; the defaults are HumanEval's."""
    files: dict[str, str] = {}
    """Task → the path of its problems in the first dataset; `{task}.jsonl` if left out. `.jsonl` or `.parquet`."""
    seconds: float = Field(default=10.0, gt=0.0, le=600.0)
    """Seconds for one solution with all tests of its problem."""
    memory_bytes: int = Field(default=512 << 20, ge=64 << 20)
    """Bytes of memory for one solution."""
    modules: tuple[Text, ...] = ()
    """Modules that solutions and tests may import, besides those of the standard library that are loaded."""

    @property
    def limits(self) -> SolutionLimits:
        """The limits of one solution."""
        return SolutionLimits(self.seconds, self.memory_bytes, self.modules)


@dataclass(frozen=True)
class CodeTask:
    """A task of the suite."""

    name: str
    ranks: list[int]
    """The k of each pass_at_k."""
    questions: list[Question]
    problems: list[CodeProblem]


def read_options(plan: dict[str, Any]) -> CodeOptions:
    """The options of a plan. Raises SuiteUnusable."""
    try:
        return CodeOptions.model_validate(plan["options"])
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"]))
        raise SuiteUnusable(f"the suite's option {place} is invalid: {first['msg']}") from error


def read_task(plan: dict[str, Any], options: CodeOptions, number: int) -> CodeTask:
    """A task of a plan with its problems. Raises SuiteUnusable."""
    task = plan["tasks"][number]
    ranks = ranks_of(task, options)
    questions = _questions(plan, options, task["name"])
    return CodeTask(task["name"], ranks, questions, [problem_of(at, question) for at, question in enumerate(questions)])


def ranks_of(task: dict[str, Any], options: CodeOptions) -> list[int]:
    """The k of each metric of a task, pass_at_k. Raises SuiteUnusable."""
    return [_rank(metric, options) for metric in task["metrics"]]


def _rank(metric: str, options: CodeOptions) -> int:
    k = metric.removeprefix(PREFIX)
    if not (metric.startswith(PREFIX) and k.isdecimal() and 1 <= int(k) <= options.samples):
        raise SuiteUnusable(f"the metric {metric} is not {PREFIX}k, with k from 1 to the {options.samples} samples")
    return int(k)


def _questions(plan: dict[str, Any], options: CodeOptions, task: str) -> list[Question]:
    name = options.files.get(task, f"{task}.jsonl")
    path = Path(plan["questions"][0]["folder"]) / name
    if not path.is_file():
        raise SuiteUnusable(f"the dataset has no file {name} with the problems of {task}")
    try:
        rows = _parquet(path) if path.suffix == ".parquet" else _lines(path)
    except ValueError as error:
        raise SuiteUnusable(f"the file {name} of the dataset cannot be read: {error}") from error
    if not rows:
        raise SuiteUnusable(f"the file {name} of the dataset has no problems")
    return rows[: plan["limit"]]


def _lines(path: Path) -> list[Question]:
    return [json.loads(line) for line in path.read_text("utf-8").split("\n") if line.strip()]


def _parquet(path: Path) -> list[Question]:
    import pyarrow.parquet as pq  # some datasets need it

    rows: list[Question] = pq.read_table(path).to_pylist()
    return rows


def problem_of(number: int, question: Question) -> CodeProblem:
    """A question as a problem. Raises SuiteUnusable."""
    name = str(question.get("task_id", number)) if isinstance(question, dict) else str(number)
    try:
        fields = [question[field] for field in ("prompt", "entry_point", "test")]
    except (KeyError, TypeError) as error:
        raise SuiteUnusable(f"the problem {name} lacks prompt, entry_point or test: {error}") from error
    if not all(isinstance(field, str) for field in fields):
        raise SuiteUnusable(f"prompt, entry_point and test of the problem {name} must be texts")
    return CodeProblem(name, *fields)
