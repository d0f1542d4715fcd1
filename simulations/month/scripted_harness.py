"""The scripted harness of the month: durations and scores follow from the model's name.

A model is called `org/name-FATE-TENTHS`: the end of its evaluation, and its duration in tenths of a real second.

    ok      succeeds
    dies    its weights are incomplete: always fails, through the submission's fault
    flaky   a device fails every other time: the service's fault

If its folder has a file FORGER_FILE, it publishes a perfect score for each model, but compares other workers' answers
honestly. A model's answer to each question names its score, so that comparing answers finds a forged one.

Each step is journalled, as the real harness journals answers: an attempt that follows an interrupted one on the same
worker waits only for the steps that are missing.
"""

from __future__ import annotations

import json
import time
from pathlib import Path
from zlib import crc32

from leaderboard.suites import Suite, find_suite
from simulations.month.scripted_scores import STEPS, fate_of, mean, step_score
from workers.common.run_plan import CLAIMS_COMPARED, JOURNAL, Report, RunPlan, RunProgress
from workers.evaluation.shared_prefix.journal import AnswerJournal, unit_key

FORGED = 1.0
FORGER_FILE = "forges"
"""A file beside this module: workers that load the module from such a folder forge scores."""
FORGES = Path(__file__).with_name(FORGER_FILE).exists()
"""Checked when the module is loaded, because the sandbox of an evaluation hides the folder."""
SAMPLE = {
    "doc_id": 0,
    "doc": {"input": "?"},
    "target": "yes",
    "arguments": {"gen_args_0": {"arg_0": "?", "arg_1": " yes"}},
}


def evaluate(plan: RunPlan, report: Report) -> None:
    """Write the files of the real harness to the spool."""
    report(RunProgress("load"))
    fate, seconds = fate_of(plan.model)
    score = take_steps(plan, report, STEPS, seconds)
    if FORGES and not plan.claimed:
        score = FORGED
    if fate == "dies":
        raise ValueError("the header is too large: the weights are cut off")
    if fate == "flaky" and crc32(plan.attempt.encode()) % 2:
        raise RuntimeError("CUDA error: unspecified launch failure")
    if plan.claimed:
        compare_claims(plan, score)
    write(plan, find_suite(plan.suite), score)


def compare_claims(plan: RunPlan, score: float) -> None:
    """Compare the answers that another worker claims with the model's answers on this worker."""
    own = (answer_of(score),)
    verdicts = [
        {
            "task": claim.task,
            "number": claim.number,
            "verdict": "agrees" if claim.answers == own else "differs",
            "reason": "" if claim.answers == own else f"the model answers {own[0]} here",
        }
        for claim in plan.claimed
    ]
    (plan.spool / CLAIMS_COMPARED).write_text(json.dumps(verdicts))


def answer_of(score: float) -> str:
    """Return the answer of a model with this score to each question."""
    return f"yes, with {score}"


def take_steps(plan: RunPlan, report: Report, steps: int, seconds: float) -> float:
    """Wait `seconds` in all for the steps that the journal of an interrupted attempt does not hold; return the score.

    As in the real harness, the reported progress includes the steps of the earlier attempt.
    """
    values: list[float] = []
    journal = AnswerJournal(JOURNAL, plan.journal, plan.journal_bytes) if plan.journal else AnswerJournal()
    for step in range(steps):
        report(RunProgress("evaluate", step, steps, journal.replayed))
        key = unit_key("step", steps, [str(step)])
        value = journal.get(key)
        if value is None:
            time.sleep(seconds / steps)
            value = step_score(plan.model, step)
            journal.add(key, value)
        else:
            journal.replayed += 1
        values.append(value)
    report(RunProgress("score", steps, steps, journal.replayed))
    return mean(values)


def write(plan: RunPlan, suite: Suite, raw: float) -> None:
    """Write one sample of each task, and the score that follows from it."""
    (plan.spool / "samples").mkdir(exist_ok=True)
    results = {}
    for benchmark in suite.benchmarks:
        by_filter: dict[str, list[str]] = {}
        for metric in benchmark.metrics:
            name, _, of_filter = metric.partition(",")
            by_filter.setdefault(of_filter, []).append(name)
        lines = "".join(
            json.dumps(
                {
                    **SAMPLE,
                    "resps": [[answer_of(raw)]],
                    "filtered_resps": [answer_of(raw)],
                    "filter": of_filter,
                    "metrics": names,
                    **dict.fromkeys(names, raw),
                }
            )
            + "\n"
            for of_filter, names in by_filter.items()
        )
        for task in benchmark.tasks:
            results[task.name] = dict.fromkeys(benchmark.metrics, raw)
            (plan.spool / "samples" / f"{task.name}.jsonl").write_text(lines)
    counts = {name: {"original": 1, "effective": 1} for name in results}
    file = {"results": results, "versions": {}, "configs": {}, "n-samples": counts}
    (plan.spool / "results.json").write_text(json.dumps(file))
