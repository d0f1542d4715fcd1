"""The scripted harness of the month: durations and scores follow from the model's name.

A model is called `org/name-FATE-TENTHS`: the end of its evaluation, and its duration in tenths of a real second.

    ok      succeeds
    dies    its weights are incomplete: always fails, through the submission's fault
    flaky   a device fails every other time: the service's fault

Each step is journalled, as the real harness journals answers: an attempt that follows an interrupted one on the same
worker waits only for the steps that are missing.
"""

from __future__ import annotations

import json
import time
from zlib import crc32

from leaderboard.suites import Suite, find_suite
from workers.common.run_plan import JOURNAL, Report, RunPlan, RunProgress
from workers.evaluation.shared_prefix.journal import AnswerJournal, unit_key

STEPS = 8


def evaluate(plan: RunPlan, report: Report) -> None:
    """Write the files of the real harness to the spool."""
    report(RunProgress("load"))
    fate, seconds = fate_of(plan.model)
    values: list[float] = []
    journal = AnswerJournal(JOURNAL, plan.journal, plan.journal_bytes) if plan.journal else AnswerJournal()
    for done in range(STEPS):
        report(RunProgress("evaluate", done, STEPS, journal.replayed))
        key = unit_key("step", STEPS, [str(done)])
        value = journal.get(key)
        if value is None:
            time.sleep(seconds / STEPS)
            value = _step_score(plan.model, done)
            journal.add(key, value)
        else:
            journal.replayed += 1
        values.append(value)
    if fate == "dies":
        raise ValueError("the header is too large: the weights are cut off")
    if fate == "flaky" and crc32(plan.attempt.encode()) % 2:
        raise RuntimeError("CUDA error: unspecified launch failure")
    write(plan, find_suite(plan.suite), _mean(values))
    report(RunProgress("score", STEPS, STEPS, journal.replayed))


def fate_of(model: str) -> tuple[str, float]:
    """Return the end of the evaluation of `model` and its seconds; other names succeed at once."""
    parts = model.rsplit("-", 2)
    if len(parts) == 3 and parts[2].isdecimal():
        return parts[1], int(parts[2]) / 10
    return "ok", 0.1


def score_of(model: str) -> float:
    """Return the score that `model` has in every task."""
    return _mean([_step_score(model, step) for step in range(STEPS)])


def _step_score(model: str, step: int) -> float:
    return crc32(f"{model} {step}".encode()) % 1000 / 1000


def _mean(values: list[float]) -> float:
    return round(sum(values) / len(values), 6)


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
