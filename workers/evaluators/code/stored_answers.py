"""Runs the stored answers of an earlier evaluation under the tests of their problems again, without a model."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

from workers.evaluators.code.answers import answers_of, code_sample, metric_names, program
from workers.evaluators.code.plan_files import leave_samples, say_progress
from workers.evaluators.code.runner import SuiteUnusable, at_once, run_solution
from workers.evaluators.code.suite import CodeOptions, problem_of, ranks_of

Sample = dict[str, Any]


def score_stored(plan: dict[str, Any], options: CodeOptions, folder: Path) -> dict[str, Any]:
    """Write the samples of each task with new verdicts, and return the reports. Raises SuiteUnusable."""
    stored = {task["name"]: list(_samples(plan, task["name"])) for task in plan["tasks"]}
    done, total, reports = 0, sum(map(len, stored.values())), dict[str, Any]()
    with ThreadPoolExecutor(at_once(plan["devices"]["threads"] or os.cpu_count() or 1)) as pool:
        for task in plan["tasks"]:
            ranks, samples = ranks_of(task, options), list[Sample]()
            score = partial(_scored, options=options, ranks=ranks, chat=plan["model"]["use_chat_template"])
            for sample in pool.map(score, stored[task["name"]]):
                samples.append(sample)
                done += 1
                say_progress(done, total)
            reports[task["name"]] = leave_samples(folder, task["name"], samples, metric_names(ranks))
    return reports


def _samples(plan: dict[str, Any], task: str) -> Iterator[Sample]:
    with (Path(plan["stored"]) / f"{task}.jsonl").open(encoding="utf-8") as lines:
        yield from map(json.loads, lines)


def _scored(sample: Sample, *, options: CodeOptions, ranks: list[int], chat: bool) -> Sample:
    """The sample with new verdicts on its answers, made on this machine."""
    number, question = sample["id"], sample["question"]
    problem, answers = problem_of(number, question), answers_of(sample["output"], options.samples)
    if answers is None:
        raise SuiteUnusable(
            f"the stored output of the problem {problem.name} does not hold {options.samples} whole answers"
        )
    verdicts = [run_solution(problem, program(problem, answer, chat=chat), options.limits) for answer in answers]
    return {**code_sample(number, question, answers, verdicts, ranks), "output": sample["output"]}
