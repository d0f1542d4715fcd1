"""`python -m workers.evaluators.code`: evaluates how often a model's code passes the tests of its problem.

The problems have HumanEval's shape: `prompt`, `entry_point`, and `test`, which defines `check(candidate)`; further
fields are shown with the answers. A metric is `pass_at_1`, or `pass_at_k` for any k up to the number of samples.
"""

from __future__ import annotations

import json
import os
import sys
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from importlib import metadata
from pathlib import Path
from typing import Any

import torch
from pydantic import ValidationError

from workers.evaluators.code.answers import PREFIX, Question, code_sample
from workers.evaluators.code.generation import CodeModel, refuse
from workers.evaluators.code.options import CodeOptions
from workers.evaluators.code.runner import (
    Problem,
    ProblemUnusable,
    SolutionsNotConfined,
    SolutionVerdict,
    run_solution,
)

VERSION = "1"
_PYTHON = "python of solutions"
"""A version that scores, unlike `python`, which the contract counts among what loads models."""
_MAX_SOLUTIONS = 8
"""Solutions that run at once, on a machine with twice as many cores."""


def main() -> None:
    """Evaluate as plan.json says, and leave samples and results."""
    plan_file = Path(os.environ["STEWARD_PLAN"])
    plan, folder = json.loads(plan_file.read_text("utf-8")), plan_file.parent
    try:
        options = CodeOptions.model_validate(plan["options"])
    except ValidationError as error:
        refuse("evaluator", f"the suite's options are invalid: {error}")
    metrics = {task["name"]: [_rank(metric, options) for metric in task["metrics"]] for task in plan["tasks"]}
    tasks = {name: _questions(plan, options, name) for name in metrics}
    try:
        _try_out(options)
        reports = Evaluation(plan, options, folder, sum(map(len, tasks.values()))).run(tasks, metrics)
    except (SolutionsNotConfined, ProblemUnusable) as error:
        refuse("evaluator", str(error))
    results = {
        "contract": 1,
        "evaluator": {"name": "code", "version": VERSION},
        "model": plan["model"]["name"],
        "revision": plan["model"]["revision"],
        "tasks": reports,
        "versions": {name: metadata.version(name) for name in ("transformers", "torch")}
        | {_PYTHON: ".".join(map(str, sys.version_info[:2]))},
    }
    (folder / "results.json").write_text(json.dumps(results), "utf-8")


def _rank(metric: str, options: CodeOptions) -> int:
    """The k of pass_at_k."""
    k = metric.removeprefix(PREFIX)
    if not (metric.startswith(PREFIX) and k.isdecimal() and 1 <= int(k) <= options.samples):
        refuse("evaluator", f"the suite's metric {metric} is not pass_at_k with k from 1 to {options.samples} samples")
    return int(k)


def _questions(plan: dict[str, Any], options: CodeOptions, task: str) -> list[Question]:
    path = Path(plan["questions"][0]["folder"]) / options.files.get(task, f"{task}.jsonl")
    if not path.is_file():
        refuse("evaluator", f"the dataset has no file {options.files.get(task, path.name)} with problems of {task}")
    if path.suffix == ".parquet":
        import pyarrow.parquet as pq  # only some datasets need it

        rows: list[Question] = pq.read_table(path).to_pylist()
    else:
        rows = [json.loads(line) for line in path.read_text("utf-8").splitlines() if line.strip()]
    if not rows:
        refuse("evaluator", f"the file {path.name} of the dataset has no problems")
    return rows[: plan["limit"]]


def _try_out(options: CodeOptions) -> None:
    """Raise SolutionsNotConfined before the model is loaded, if no solution could be run."""
    problem = Problem("trial", "", "same", "def check(candidate):\n    assert candidate(1) == 1\n")
    verdict = run_solution(problem, "def same(value):\n    return value\n", options.limits)
    if not verdict.passed:
        raise SolutionsNotConfined(f"a right solution fails on this machine: {verdict.outcome}, {verdict.words}")


class Evaluation:
    """One evaluation: the model answers, and solutions run meanwhile."""

    def __init__(self, plan: dict[str, Any], options: CodeOptions, folder: Path, total: int) -> None:
        self._options, self._folder, self._total, self._done = options, folder, total, 0
        if threads := plan["devices"]["threads"]:
            torch.set_num_threads(threads)
        self._model = CodeModel(plan, options)
        self._solutions = max(1, min(_MAX_SOLUTIONS, (threads or os.cpu_count() or 1) // 2))

    def run(self, tasks: dict[str, list[Question]], metrics: dict[str, list[int]]) -> dict[str, Any]:
        """Leave the samples of all tasks, and return their reports."""
        return {name: self._run_task(name, questions, metrics[name]) for name, questions in tasks.items()}

    def _run_task(self, name: str, questions: Sequence[Question], ranks: Sequence[int]) -> dict[str, Any]:
        problems = [_problem(number, question) for number, question in enumerate(questions)]
        per_problem = self._options.samples
        samples: list[dict[str, Any]] = []
        answers: list[str] = []
        runs: list[Future[SolutionVerdict]] = []

        def finish(number: int) -> None:
            part = slice(number * per_problem, (number + 1) * per_problem)
            verdicts = [run.result() for run in runs[part]]
            samples.append(code_sample(number, questions[number], answers[part], verdicts, ranks))
            self._progress()

        with ThreadPoolExecutor(self._solutions) as pool:
            for problem, answer in self._model.answers(problems):
                answers.append(answer)
                program = self._model.program(problem, answer)
                runs.append(pool.submit(run_solution, problem, program, self._options.limits))
                while _have_ended(runs, len(samples), per_problem):
                    finish(len(samples))
            for number in range(len(samples), len(questions)):
                finish(number)
        lines = (json.dumps(sample) + "\n" for sample in samples)
        (self._folder / "samples" / f"{name}.jsonl").write_text("".join(lines), "utf-8")
        outcomes = Counter(run.result().outcome for run in runs)
        print(f"{name}: " + ", ".join(f"{count} {outcome}" for outcome, count in sorted(outcomes.items())), flush=True)
        return {"questions": len(samples), "metrics": _means(samples, ranks)}

    def _progress(self) -> None:
        self._done += 1
        line = json.dumps({"done": self._done, "total": self._total})
        os.write(int(os.environ["STEWARD_PROGRESS"]), line.encode() + b"\n")


def _problem(number: int, question: Question) -> Problem:
    try:
        name = str(question.get("task_id", number))
        return Problem(name, question["prompt"], question["entry_point"], question["test"])
    except KeyError as error:
        raise ProblemUnusable(f"the problem {number} has no field {error}") from error


def _have_ended(runs: Sequence[Future[SolutionVerdict]], number: int, per_problem: int) -> bool:
    """Whether all solutions of the problem `number` have ended."""
    part = runs[number * per_problem : (number + 1) * per_problem]
    return len(part) == per_problem and all(run.done() for run in part)


def _means(samples: Sequence[dict[str, Any]], ranks: Sequence[int]) -> dict[str, float]:
    names = [f"{PREFIX}{k}" for k in ranks]
    return {name: sum(sample["metrics"][name] for sample in samples) / len(samples) for name in names}


if __name__ == "__main__":
    main()
