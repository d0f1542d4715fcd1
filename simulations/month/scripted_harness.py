"""The scripted harness of the month: durations and scores follow from the model's name.

A model is called `org/name-FATE-TENTHS`: the end of its evaluation, and its duration in tenths of a real second.

    ok      succeeds
    dies    its weights are incomplete: always fails, through the submission's fault
    flaky   a device fails every other time: the service's fault
"""

from __future__ import annotations

import json
import time
from zlib import crc32

from leaderboard.suites import Suite, find_suite
from workers.common.run_plan import Report, RunPlan, RunProgress

STEPS = 8


def evaluate(plan: RunPlan, report: Report) -> None:
    """Write the files of the real harness to the spool."""
    report(RunProgress("load"))
    fate, seconds = fate_of(plan.model)
    for done in range(STEPS):
        report(RunProgress("evaluate", done, STEPS))
        time.sleep(seconds / STEPS)
    if fate == "dies":
        raise ValueError("the header is too large: the weights are cut off")
    if fate == "flaky" and crc32(plan.attempt.encode()) % 2:
        raise RuntimeError("CUDA error: unspecified launch failure")
    write(plan, find_suite(plan.suite), crc32(plan.model.encode()) % 1000 / 1000)
    report(RunProgress("score", 1, 1))


def fate_of(model: str) -> tuple[str, float]:
    """Return the end of the evaluation of `model` and its seconds; other names succeed at once."""
    parts = model.rsplit("-", 2)
    if len(parts) == 3 and parts[2].isdecimal():
        return parts[1], int(parts[2]) / 10
    return "ok", 0.1


def write(plan: RunPlan, suite: Suite, raw: float) -> None:
    """Write one sample and one score of each task."""
    (plan.spool / "samples").mkdir(exist_ok=True)
    results = {}
    for benchmark in suite.benchmarks:
        names = [metric.partition(",")[0] for metric in benchmark.metrics]
        sample = {
            "doc_id": 0,
            "doc": {"input": "?"},
            "target": "yes",
            "arguments": {"gen_args_0": {"arg_0": "?", "arg_1": " yes"}},
            "resps": [["yes"]],
            "filtered_resps": ["yes"],
            "filter": "none",
            "metrics": names,
            **dict.fromkeys(names, raw),
        }
        for task in benchmark.tasks:
            results[task.name] = dict.fromkeys(benchmark.metrics, raw)
            (plan.spool / "samples" / f"{task.name}.jsonl").write_text(json.dumps(sample) + "\n")
    (plan.spool / "results.json").write_text(json.dumps({"results": results, "versions": {}, "configs": {}}))
