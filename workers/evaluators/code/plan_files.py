"""The files that the evaluator of code leaves in its folder, and its progress."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping, Sequence
from importlib import metadata
from pathlib import Path
from typing import Any, NoReturn

VERSION = "1"
_PYTHON = "python of solutions"
"""Name of Python's version in results.json: it affects scores, while by the contract the entry `python` does not."""


def refuse(fault: str, message: str) -> NoReturn:
    """Write to failure.json why there is no evaluation, and end this process."""
    Path("failure.json").write_text(json.dumps({"contract": 1, "fault": fault, "message": message[:1000]}), "utf-8")
    sys.exit(1)


def say_progress(done: int, total: int) -> None:
    """Report how many problems are done."""
    os.write(int(os.environ["STEWARD_PROGRESS"]), json.dumps({"done": done, "total": total}).encode() + b"\n")


def leave_samples(folder: Path, task: str, samples: Sequence[Mapping[str, Any]], metrics: Sequence[str]) -> Any:
    """Write the samples of a task, and return its report."""
    lines = (json.dumps(sample) + "\n" for sample in samples)
    (folder / "samples" / f"{task}.jsonl").write_text("".join(lines), "utf-8")
    means = {name: sum(sample["metrics"][name] for sample in samples) / len(samples) for name in metrics}
    return {"questions": len(samples), "metrics": means}


def leave_results(folder: Path, plan: Mapping[str, Any], reports: Mapping[str, Any], packages: Sequence[str]) -> None:
    """Write results.json, with the versions of the `packages` that computed the answers."""
    results = {
        "contract": 1,
        "evaluator": {"name": "code", "version": VERSION},
        "model": plan["model"]["name"],
        "revision": plan["model"]["revision"],
        "tasks": reports,
        "versions": {name: metadata.version(name) for name in packages}
        | {_PYTHON: ".".join(map(str, sys.version_info[:2]))},
    }
    (folder / "results.json").write_text(json.dumps(results), "utf-8")
