"""`python -m workers.evaluators.code`: evaluates how often a model's code passes the tests of its problem.

The problems have HumanEval's shape: `prompt`, `entry_point`, and `test`, which defines `check(candidate)`; further
fields are shown with the answers. A metric is `pass_at_1`, or `pass_at_k` for any k up to the number of samples.
In the mode `score`, the stored answers run under the tests again, without a model.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from workers.evaluators.code.plan_files import leave_results, refuse
from workers.evaluators.code.runner import CodeProblem, SolutionsNotConfined, SuiteUnusable, run_solution
from workers.evaluators.code.suite import CodeOptions, read_options, read_task


def main() -> None:
    """Evaluate or score as plan.json says, and leave samples and results."""
    plan_file = Path(os.environ["STEWARD_PLAN"])
    plan, folder = json.loads(plan_file.read_text("utf-8")), plan_file.parent
    try:
        options = read_options(plan)
        reports, packages = (_score if plan["mode"] == "score" else _evaluate)(plan, options, folder)
    except (SolutionsNotConfined, SuiteUnusable) as error:
        refuse("evaluator", str(error))
    leave_results(folder, plan, reports, packages)


def _evaluate(plan: dict[str, Any], options: CodeOptions, folder: Path) -> tuple[dict[str, Any], tuple[str, ...]]:
    """The report of each task, and the packages that computed answers."""
    tasks = [read_task(plan, options, number) for number in range(len(plan["tasks"]))]
    _try_out(options)
    from workers.evaluators.code.evaluation import CodeEvaluation  # torch is heavy, and scoring does without

    evaluation = CodeEvaluation(plan, options, folder, sum(len(task.questions) for task in tasks))
    return {task.name: evaluation.run(task) for task in tasks}, ("transformers", "torch")


def _score(plan: dict[str, Any], options: CodeOptions, folder: Path) -> tuple[dict[str, Any], tuple[str, ...]]:
    """The report of each task from its stored answers, and no packages, as none of this machine computes answers."""
    from workers.evaluators.code.stored_answers import score_stored

    _try_out(options)
    return score_stored(plan, options, folder), ()


def _try_out(options: CodeOptions) -> None:
    """Raise SolutionsNotConfined before the model is loaded, if no solution could be run."""
    problem = CodeProblem("trial", "", "same", "def check(candidate):\n    assert candidate(1) == 1\n")
    verdict = run_solution(problem, "def same(value):\n    return value\n", options.limits)
    if not verdict.passed:
        raise SolutionsNotConfined(f"a right solution fails on this machine: {verdict.outcome}, {verdict.words}")


if __name__ == "__main__":
    main()
