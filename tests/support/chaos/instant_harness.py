"""A harness for tests: it answers at once, with the same raw score for each task. Imported by a real zygote.

The model's name says how the evaluation goes: `…-slow` takes a few seconds, `…-dies` raises; anything else goes well.
Steps are journalled: an attempt that follows an interrupted one on the same worker takes those that are missing.
"""

from __future__ import annotations

from leaderboard.suites import find_suite
from simulations.month.scripted_harness import take_steps, write
from workers.common.run_plan import Report, RunPlan, RunProgress

SLOW_STEPS, SLOW_STEP, STEPS = 40, 0.1, 4


def evaluate(plan: RunPlan, report: Report) -> None:
    """Leave in the spool what the real harness leaves."""
    report(RunProgress("load"))
    if plan.model.endswith("-dies"):
        raise ValueError("the header is too large: the weights are cut off")
    slow = plan.model.endswith("-slow")
    take_steps(plan, report, SLOW_STEPS if slow else STEPS, SLOW_STEPS * SLOW_STEP if slow else 0.0)
    write(plan, find_suite(plan.suite), 0.75)
