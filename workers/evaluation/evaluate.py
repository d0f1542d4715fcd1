"""Runs one evaluation inside the child, from a run plan to result files in its spool.

Another evaluator than lm-eval is a command. With lm-eval, scores equal those of the `lm_eval` command digit for digit:
the same entry point gets the same arguments.
"""

from __future__ import annotations

from workers.common.run_plan import Report, RunPlan
from workers.evaluation.evaluator_process import run_evaluator

RESULTS = "results.json"
SAMPLES = "samples"


def evaluate(plan: RunPlan, report: Report) -> None:
    """Evaluate `plan` and write `results.json` and `samples/{task}.jsonl` to its spool.

    Call it only in the child; for lm-eval, the child has already imported the harness. Raises what the harness raises,
    and EvaluationFailed if it leaves no results.
    """
    if plan.evaluator is not None:
        run_evaluator(plan, report)
        return
    from workers.evaluation import harness  # heavy: importing this module must not load it

    harness.run(plan, report)
