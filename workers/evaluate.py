"""One evaluation, inside the child: from a run plan to files in its spool.

Scores are those of the `lm_eval` command, digit for digit: the same entry point with the same arguments.
"""

from __future__ import annotations

from workers.plans import Report, RunPlan

RESULTS = "results.json"
SAMPLES = "samples"


def evaluate(plan: RunPlan, report: Report) -> None:
    """Evaluate `plan` and leave `results.json` and `samples/{task}.jsonl` in its spool.

    Call it in the child alone, where the harness (`workers.harness`) is imported already. Raises whatever the
    harness raises, and EvaluationFailed where it comes to nothing.
    """
    from workers import harness  # heavy: in a child it is there already, anywhere else it should not come along

    harness.run(plan, report)
