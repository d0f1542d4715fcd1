"""Evaluates a model's code: the model answers problem after problem, and solutions run at the same time."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import torch

from workers.evaluators.code.answers import code_sample, metric_names
from workers.evaluators.code.generation import CodeModel
from workers.evaluators.code.plan_files import leave_samples, say_progress
from workers.evaluators.code.runner import SolutionVerdict, at_once, run_solution
from workers.evaluators.code.suite import CodeOptions, CodeTask


class CodeEvaluation:
    """One evaluation, whose solutions run in a pool of threads while the model answers."""

    def __init__(self, plan: dict[str, Any], options: CodeOptions, folder: Path, total: int) -> None:
        self._options, self._folder, self._total, self._done = options, folder, total, 0
        if threads := plan["devices"]["threads"]:
            torch.set_num_threads(threads)
        self._model = CodeModel(plan, options)
        self._solutions = at_once(threads or os.cpu_count() or 1)

    def run(self, task: CodeTask) -> dict[str, Any]:
        """Evaluate a task: write its samples, and return its report."""
        questions = task.questions
        per_problem = self._options.samples
        samples: list[dict[str, Any]] = []
        answers: list[str] = []
        runs: list[Future[SolutionVerdict]] = []

        def finish(number: int) -> None:
            part = slice(number * per_problem, (number + 1) * per_problem)
            verdicts = [run.result() for run in runs[part]]
            samples.append(code_sample(number, questions[number], answers[part], verdicts, task.ranks))
            self._done += 1
            say_progress(self._done, self._total)

        with ThreadPoolExecutor(self._solutions) as pool:
            for problem, answer in self._model.answers(task.problems):
                answers.append(answer)
                program = self._model.program(problem, answer)
                runs.append(pool.submit(run_solution, problem, program, self._options.limits))
                while _have_ended(runs, len(samples), per_problem):
                    finish(len(samples))
            for number in range(len(samples), len(questions)):
                finish(number)
        outcomes = Counter(run.result().outcome for run in runs)
        print(
            f"{task.name}: " + ", ".join(f"{count} {outcome}" for outcome, count in sorted(outcomes.items())),
            flush=True,
        )
        report: dict[str, Any] = leave_samples(self._folder, task.name, samples, metric_names(task.ranks))
        return report


def _have_ended(runs: Sequence[Future[SolutionVerdict]], number: int, per_problem: int) -> bool:
    """Whether all solutions of the problem `number` have ended."""
    part = runs[number * per_problem : (number + 1) * per_problem]
    return len(part) == per_problem and all(run.done() for run in part)
