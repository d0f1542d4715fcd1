"""A harness for tests on a GPU: the model's name selects what the child does. The zygote process imports it."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from pathlib import Path

import torch

from workers.common.run_plan import Report, RunPlan, RunProgress

GIB = 1 << 30


def evaluate(plan: RunPlan, report: Report) -> None:
    """Run the trial that the name after the slash selects."""
    report(RunProgress("load"))
    TRIALS[plan.model.partition("/")[2]](plan, report)


def _write_results(plan: RunPlan, results: object) -> None:
    (plan.spool / "results.json").write_text(json.dumps(results))


def fine(plan: RunPlan, report: Report) -> None:
    """Computes one product on the device."""
    report(RunProgress("evaluate", 1, 1))
    ones = torch.ones(64, 64, device=plan.device)
    _write_results(plan, {"sum": float((ones @ ones).sum())})


def seeing(plan: RunPlan, report: Report) -> None:
    """Lists the devices that torch and /dev show."""
    devices = [torch.cuda.get_device_properties(i) for i in range(torch.cuda.device_count())]
    files = sorted(file.name for file in Path("/dev").glob("nvidia[0-9]*"))
    visible = os.environ.get("CUDA_VISIBLE_DEVICES", "")
    _write_results(
        plan, {"names": [device.name for device in devices], "files": files, "visible": visible, "device": plan.device}
    )


def hungry(plan: RunPlan, report: Report) -> None:
    """Allocates six tenths of the free memory for each question of a batch."""
    report(RunProgress("evaluate", 0, 1))
    free, _ = torch.cuda.mem_get_info()
    held = [torch.zeros(free * 6 // 10, dtype=torch.uint8, device=plan.device) for _ in range(plan.batch_size)]
    _write_results(plan, {"batch_size": plan.batch_size, "held": len(held)})


def holding(plan: RunPlan, report: Report) -> None:
    """Holds two GiB of memory for a minute."""
    held = torch.zeros(2 * GIB, dtype=torch.uint8, device=plan.device)
    for done in range(600):
        report(RunProgress("evaluate", done, 600))
        time.sleep(0.1)
    _write_results(plan, {"held": held.numel()})


TRIALS: dict[str, Callable[[RunPlan, Report], None]] = {
    "fine": fine,
    "seeing": seeing,
    "hungry": hungry,
    "holding": holding,
}
