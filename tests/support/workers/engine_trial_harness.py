"""A harness for tests of the engine: a real child answers requests until the trouble in its model's name begins.

A name is `{engine}-{place}-{trouble}`, for instance `shared-prefix-running-hanging`. The zygote process imports it.
"""

from __future__ import annotations

import json
import random
import subprocess
import time
from collections.abc import Callable
from dataclasses import asdict
from types import SimpleNamespace
from typing import Any

import torch

from workers.common.run_plan import Report, RunPlan, RunProgress
from workers.evaluation.harness import model_arguments
from workers.evaluation.harness_model import ReportingModel
from workers.evaluation.request_counter import RequestCounter

QUESTIONS, ANSWERS = 60, (" a", " b", " cde", " cdf")
PLACES = {"comparing": 8, "running": 100}
"""Place → the number of answers after which the trouble begins: 64 requests are compared before the others."""
SLOW_SECONDS = 1.0


def evaluate(plan: RunPlan, report: Report) -> None:
    """Answer the requests of one task, as the harness would ask for them; write the answers to the results file."""
    torch.set_num_threads(1)
    report(RunProgress("load"))
    engine, place, trouble = plan.model.partition("/")[2].rsplit("-", 2)
    if plan.engine != "harness":  # else this is the last try after it ran out of memory
        plan = plan.model_copy(update={"engine": engine})
    counter = RequestCounter(report, plan.dtype)
    model = ReportingModel(
        counter=counter, plan=plan, device=plan.device, batch_size=plan.batch_size, **model_arguments(plan)
    )
    requests = instances()
    counter.tasks = {"letters": SimpleNamespace(instances=requests)}

    def before_step(*_: object) -> None:
        if counter.done >= PLACES[place]:
            TROUBLES[trouble](plan)

    model.model.register_forward_pre_hook(before_step)
    answers = model.loglikelihood(requests, disable_tqdm=True)
    record = asdict(model.engine_record) if model.engine_record else None
    results = {"answers": answers, "engine": record, "done": counter.done, "total": counter.total}
    (plan.spool / "results.json").write_text(json.dumps(results))


def instances() -> list[Any]:
    """Questions with shared examples, and four answers each."""
    source = random.Random(0)
    examples = "".join(source.choices("abcdefgh", k=200))
    contexts = [examples + "".join(source.choices("abcdefgh", k=source.randrange(9, 30))) for _ in range(QUESTIONS)]
    return [
        SimpleNamespace(args=(context, answer), task_name="letters", repeats=1, doc_id=question, idx=choice)
        for question, context in enumerate(contexts)
        for choice, answer in enumerate(ANSWERS)
    ]


def nothing(plan: RunPlan) -> None:
    pass


def hanging(plan: RunPlan) -> None:
    """Starts another process, and hangs for a minute."""
    sleeper = subprocess.Popen(["sleep", "61.25"])
    time.sleep(60)
    sleeper.kill()


def slow(plan: RunPlan) -> None:
    time.sleep(SLOW_SECONDS)


def growing(plan: RunPlan) -> None:
    """Allocates memory until it gets no more, unless the harness alone evaluates."""
    held = []
    while plan.engine != "harness":
        held.append(torch.ones(16 << 20, dtype=torch.uint8))
        time.sleep(0.005)


def dying(plan: RunPlan) -> None:
    """Raises MemoryError, unless the harness alone evaluates one question at a time."""
    if plan.engine != "harness" or plan.batch_size > 1:
        raise MemoryError("no room")


_failures: list[str] = []


def failing(plan: RunPlan) -> None:
    """Raises torch's error for a device without memory, in one step only."""
    if not _failures:
        _failures.append("out of memory")
        raise torch.OutOfMemoryError("no room")


TROUBLES: dict[str, Callable[[RunPlan], None]] = {
    "nothing": nothing,
    "hanging": hanging,
    "slow": slow,
    "growing": growing,
    "dying": dying,
    "failing": failing,
}
