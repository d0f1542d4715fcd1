"""A harness for tests on a GPU: the model's name says what the child does there. Imported by a real zygote."""

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
    """Do what the name after the slash says."""
    report(RunProgress("load"))
    TRIALS[plan.model.partition("/")[2]](plan, report)


def _end(plan: RunPlan, found: object) -> None:
    (plan.spool / "results.json").write_text(json.dumps(found))


def fine(plan: RunPlan, report: Report) -> None:
    """One product on the device."""
    report(RunProgress("evaluate", 1, 1))
    ones = torch.ones(64, 64, device=plan.device)
    _end(plan, {"sum": float((ones @ ones).sum())})


def seeing(plan: RunPlan, report: Report) -> None:
    """Which devices there are, to the library and in /dev."""
    devices = [torch.cuda.get_device_properties(i) for i in range(torch.cuda.device_count())]
    files = sorted(file.name for file in Path("/dev").glob("nvidia[0-9]*"))
    visible = os.environ.get("CUDA_VISIBLE_DEVICES", "")
    _end(plan, {"names": [one.name for one in devices], "files": files, "visible": visible, "device": plan.device})


def hungry(plan: RunPlan, report: Report) -> None:
    """Takes six tenths of the free memory for every question of a batch."""
    report(RunProgress("evaluate", 0, 1))
    free, _ = torch.cuda.mem_get_info()
    held = [torch.zeros(free * 6 // 10, dtype=torch.uint8, device=plan.device) for _ in range(plan.batch_size)]
    _end(plan, {"batch_size": plan.batch_size, "held": len(held)})


def holding(plan: RunPlan, report: Report) -> None:
    """Holds two GiB for a minute."""
    held = torch.zeros(2 * GIB, dtype=torch.uint8, device=plan.device)
    for done in range(600):
        report(RunProgress("evaluate", done, 600))
        time.sleep(0.1)
    _end(plan, {"held": held.numel()})


TRIALS: dict[str, Callable[[RunPlan, Report], None]] = {
    "fine": fine,
    "seeing": seeing,
    "hungry": hungry,
    "holding": holding,
}
