"""A harness for tests: it answers at once, with raw scores that depend on the task alone. Imported by a real zygote.

The model's name says how the evaluation goes: `…-slow` takes a few seconds, `…-dies` raises; anything else goes well.
"""

from __future__ import annotations

import json
import time

from leaderboard.suites import find_suite
from workers.plans import Progress, Report, RunPlan

SLOW_STEPS, SLOW_STEP = 40, 0.1


def evaluate(plan: RunPlan, report: Report) -> None:
    """Leave in the spool what the real harness leaves."""
    report(Progress("load"))
    if plan.model.endswith("-dies"):
        raise ValueError("the header is too large: the weights are cut off")
    if plan.model.endswith("-slow"):
        for done in range(SLOW_STEPS):
            report(Progress("evaluate", done, SLOW_STEPS))
            time.sleep(SLOW_STEP)
    suite = find_suite(plan.suite)
    (plan.spool / "samples").mkdir(exist_ok=True)
    results = {}
    for benchmark in suite.benchmarks:
        for task in benchmark.tasks:
            results[task.name] = dict.fromkeys(benchmark.metrics, 0.75)
            metrics = [metric.partition(",")[0] for metric in benchmark.metrics]
            sample = {
                "doc_id": 0,
                "doc": {"input": "?"},
                "target": "yes",
                "arguments": {"gen_args_0": {"arg_0": "?", "arg_1": " yes"}},
                "resps": [["yes"]],
                "filtered_resps": ["yes"],
                "filter": "none",
                "metrics": metrics,
                **dict.fromkeys(metrics, 1.0),
            }
            (plan.spool / "samples" / f"{task.name}.jsonl").write_text(json.dumps(sample) + "\n")
    (plan.spool / "results.json").write_text(json.dumps({"results": results, "versions": {}, "configs": {}}))
    report(Progress("score", 1, 1))
