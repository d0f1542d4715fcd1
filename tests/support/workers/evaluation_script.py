"""`evaluation_script.py run PLAN …`: evaluates each plan in its own process, as a child does, and prints the phases."""

from __future__ import annotations

import contextlib
import gc
import multiprocessing
import os
import sys
from pathlib import Path

from workers.common import kernel
from workers.common.run_plan import CHILD_ENVIRONMENT, RunPlan, RunProgress


def run(plan: RunPlan) -> None:
    """Evaluate, and print each phase once."""
    from workers.evaluation.evaluate import evaluate

    reports: list[RunProgress] = []
    evaluate(plan, reports.append)
    print(*dict.fromkeys(progress.phase for progress in reports), reports[-1].done, reports[-1].total)


def run_each(plans: list[RunPlan]) -> int:
    """Evaluate one after the other, each in a fork of a process that has imported the harness, as a worker does.

    Stops at the first failure, and returns the exit status.
    """
    os.environ.update(CHILD_ENVIRONMENT)  # before the libraries read it; never in a process that imports this module
    gc.disable()  # as the zygote does
    from workers.evaluation import harness  # noqa: F401  # seconds, for all of them once

    gc.freeze()
    gc.enable()
    with contextlib.suppress(PermissionError):  # the loopback is up, unless this process has its own network namespace
        kernel.loopback_up()
    for plan in plans:
        child = multiprocessing.get_context("fork").Process(target=run, args=[plan])
        child.start()
        child.join()
        if child.exitcode:
            return 1
    return 0


if __name__ == "__main__":
    os.environ.update(CHILD_ENVIRONMENT)  # here, because tests import this module for its path
    sys.exit(run_each([RunPlan.model_validate_json(Path(file).read_text()) for file in sys.argv[2:]]))
