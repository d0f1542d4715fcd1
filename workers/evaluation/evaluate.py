"""One evaluation, inside the child: from a run plan to files in its spool.

Scores are those of the `lm_eval` command, digit for digit: the same entry point with the same arguments.
"""

from __future__ import annotations

from workers.common.run_plan import Report, RunPlan

RESULTS = "results.json"
SAMPLES = "samples"


def evaluate(plan: RunPlan, report: Report) -> None:
    """Evaluate `plan` and leave `results.json` and `samples/{task}.jsonl` in its spool.

    Call it in the child alone, which has imported the harness already. Raises what the harness raises, and
    EvaluationFailed where it leaves no results.
    """
    from workers.evaluation import (
        harness,  # heavy: in a child it is there already, anywhere else it should not come along
    )

    harness.run(plan, report)
