"""A harness for tests: it answers at once, with the same raw score for each task. The zygote process imports it.

The model's name selects how the evaluation ends: `…-slow` takes a few seconds, `…-dies` raises; any other succeeds.
A journal stores the steps: after an interrupted attempt, the next one on the same worker takes only the missing steps.
"""

from __future__ import annotations

from leaderboard.suites import find_suite
from simulations.month.scripted_harness import take_steps, write
from workers.common.run_plan import Report, RunPlan, RunProgress

SLOW_STEPS, SLOW_STEP, STEPS = 40, 0.1, 4


def evaluate(plan: RunPlan, report: Report) -> None:
    """Write the files of the real harness to the spool."""
    report(RunProgress("load"))
    if plan.model.endswith("-dies"):
        raise ValueError("the header is too large: the weights are cut off")
    slow = plan.model.endswith("-slow")
    take_steps(plan, report, SLOW_STEPS if slow else STEPS, SLOW_STEPS * SLOW_STEP if slow else 0.0)
    write(plan, find_suite(plan.suite), 0.75)
