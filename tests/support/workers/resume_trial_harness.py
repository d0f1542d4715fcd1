"""The real harness, whose model hangs once in one forward pass. The zygote process imports it.

A model `org/name-30` hangs in its 30th pass, unless an earlier attempt left answers in the journal. If `slow` is in its
name, the passes before take some seconds in all. The last line on standard error is the number of passes.
"""

from __future__ import annotations

import re
import sys
import time
from typing import Any

from workers.common.run_plan import Report, RunPlan
from workers.evaluation import harness, harness_model

HANGING = "hanging"
"""The file in the spool that shows that the model hangs."""
SLOW_SECONDS = 5.0
"""Seconds that a slow model takes until it hangs."""


def evaluate(plan: RunPlan, report: Report) -> None:
    """Evaluate `plan` as a child does."""
    fatal = re.search(r"-(\d+)$", plan.model)
    passes = [0]
    create = harness_model.ReportingModel._create_model

    def create_counted(self: Any, *arguments: Any, **options: Any) -> None:
        create(self, *arguments, **options)
        self._model.register_forward_pre_hook(lambda *_: count(self))

    def count(model: Any) -> None:
        if passes[0] == 0:
            model.is_fresh = plan.attempt.endswith("-1") and not (model.journal.units or plan.offered)
        passes[0] += 1
        if model.is_fresh and fatal and "slow" in plan.model:
            time.sleep(SLOW_SECONDS / int(fatal[1]))
        if model.is_fresh and fatal and passes[0] == int(fatal[1]):
            (plan.spool / HANGING).touch()
            time.sleep(60)

    harness_model.ReportingModel._create_model = create_counted  # type: ignore[method-assign]
    harness.run(plan, report)
    print(f"{passes[0]} passes", file=sys.stderr)
