"""Runs of the contract against a Hub of this process, with accounts that let it test everything."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from localhub.contract.__main__ import main
from localhub.testing import HubWorld
from tests.support.localhub.altered_hub import AlteredHub

COMMITS_PER_HOUR = 30
"""Smaller limits than the real Hub's, so that a test reaches them quickly."""
_SCORE = "- dataset: {{id: lab/benchmark, task_id: task}}\n  value: {}\n"
_BENCHMARK = """\
name: A benchmark
description: Of this test
evaluation_framework: math-arena
tasks: [{id: task, config: default, split: test}]
"""


def contract_world() -> HubWorld:
    """`ada` with the organisation `lab`, its reader `cleo`, the outsider `bob`, a benchmark with two models, limits."""
    world = (
        HubWorld()
        .user("ada", email="ada@lab.invalid")
        .user("bob")
        .user("cleo")
        .org("lab", {"ada": "admin", "cleo": "read"})
        .repo("dataset", "lab/benchmark", {"eval.yaml": _BENCHMARK})
    )
    for name, score in (("worse", 0.1), ("better", 0.9)):
        world.repo("model", f"lab/{name}", {".eval_results/task.yaml": _SCORE.format(score)})
    ada = world["users"][0]
    ada["tokens"].append({"token": "hf_ada_read", "role": "read"})
    world["jobs"] = {"images": {"ubuntu": []}, "flavors": {"cpu-basic": 167}}
    world["limits"] = {"api": 100_000, "resolvers": 100_000, "pages": 100_000, "commits_per_hour": COMMITS_PER_HOUR}
    return world


def arguments(hub: AlteredHub, *more: str) -> list[str]:
    """The command line of a run as `ada`, which can test everything."""
    options = {
        "--endpoint": hub.url,
        "--token": "hf_ada",
        "--other-token": "hf_bob",
        "--namespace": "ada",
        "--benchmark": "lab/benchmark",
        "--patience": "30",
    }
    return ["--jobs", *(word for option in options.items() for word in option), *more]


def run_contract(hub: AlteredHub, folder: Path, *more: str) -> tuple[int, dict[str, Any]]:
    """Run the command; return its exit status, and its report."""
    report = folder / "report.json"
    status = main(arguments(hub, "--json", str(report), *more))
    return status, json.loads(report.read_text("utf-8"))


def endings(report: dict[str, Any], ending: str) -> dict[str, Any]:
    """Return the facts with this ending, by id."""
    return {fact["id"]: fact for fact in report["facts"] if fact["ending"] == ending}
