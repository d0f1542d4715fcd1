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

from workers.evaluators.code.answers import PREFIX, code_sample
from workers.evaluators.code.generation import CodeModel, refuse
from workers.evaluators.code.runner import (
    CodeProblem,
    SolutionsNotConfined,
    SolutionVerdict,
    SuiteUnusable,
    run_solution,
)
from workers.evaluators.code.suite import CodeOptions, CodeTask, read_options, read_task

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
        options = read_options(plan)
        tasks = [read_task(plan, options, number) for number in range(len(plan["tasks"]))]
        _try_out(options)
        evaluation = CodeEvaluation(plan, options, folder, sum(len(task.questions) for task in tasks))
        reports = {task.name: evaluation.run(task) for task in tasks}
    except (SolutionsNotConfined, SuiteUnusable) as error:
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


def _try_out(options: CodeOptions) -> None:
    """Raise SolutionsNotConfined before the model is loaded, if no solution could be run."""
    problem = CodeProblem("trial", "", "same", "def check(candidate):\n    assert candidate(1) == 1\n")
    verdict = run_solution(problem, "def same(value):\n    return value\n", options.limits)
    if not verdict.passed:
        raise SolutionsNotConfined(f"a right solution fails on this machine: {verdict.outcome}, {verdict.words}")


class CodeEvaluation:
    """One evaluation: the model answers, and solutions run meanwhile."""

    def __init__(self, plan: dict[str, Any], options: CodeOptions, folder: Path, total: int) -> None:
        self._options, self._folder, self._total, self._done = options, folder, total, 0
        if threads := plan["devices"]["threads"]:
            torch.set_num_threads(threads)
        self._model = CodeModel(plan, options)
        self._solutions = max(1, min(_MAX_SOLUTIONS, (threads or os.cpu_count() or 1) // 2))

    def run(self, task: CodeTask) -> dict[str, Any]:
        """Leave the samples of a task, and return its report."""
        questions = task.questions
        per_problem = self._options.samples
        samples: list[dict[str, Any]] = []
        answers: list[str] = []
        runs: list[Future[SolutionVerdict]] = []

        def finish(number: int) -> None:
            part = slice(number * per_problem, (number + 1) * per_problem)
            verdicts = [run.result() for run in runs[part]]
            samples.append(code_sample(number, questions[number], answers[part], verdicts, task.ranks))
            self._progress()

        with ThreadPoolExecutor(self._solutions) as pool:
            for problem, answer in self._model.answers(task.problems):
                answers.append(answer)
                program = self._model.program(problem, answer)
                runs.append(pool.submit(run_solution, problem, program, self._options.limits))
                while _have_ended(runs, len(samples), per_problem):
                    finish(len(samples))
            for number in range(len(samples), len(questions)):
                finish(number)
        lines = (json.dumps(sample) + "\n" for sample in samples)
        (self._folder / "samples" / f"{task.name}.jsonl").write_text("".join(lines), "utf-8")
        outcomes = Counter(run.result().outcome for run in runs)
        print(
            f"{task.name}: " + ", ".join(f"{count} {outcome}" for outcome, count in sorted(outcomes.items())),
            flush=True,
        )
        return {"questions": len(samples), "metrics": _means(samples, task.ranks)}

    def _progress(self) -> None:
        self._done += 1
        line = json.dumps({"done": self._done, "total": self._total})
        os.write(int(os.environ["STEWARD_PROGRESS"]), line.encode() + b"\n")


def _have_ended(runs: Sequence[Future[SolutionVerdict]], number: int, per_problem: int) -> bool:
    """Whether all solutions of the problem `number` have ended."""
    part = runs[number * per_problem : (number + 1) * per_problem]
    return len(part) == per_problem and all(run.done() for run in part)


def _means(samples: Sequence[dict[str, Any]], ranks: Sequence[int]) -> dict[str, float]:
    names = [f"{PREFIX}{k}" for k in ranks]
    return {name: sum(sample["metrics"][name] for sample in samples) / len(samples) for name in names}


if __name__ == "__main__":
    main()
