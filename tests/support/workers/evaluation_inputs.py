"""A Hub with the starter suite's questions and a details namespace, and a child's spool with results."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from huggingface_hub import CommitOperationAdd, HfApi

from leaderboard.suites import find_suite
from localhub.testing import LocalHub
from workers.common.hub_access import HubAccess
from workers.common.run_plan import RunPlan
from workers.publication.spool import Publication
from workers.starter import dataset_files

STARTER = find_suite("starter")
QUESTIONS = STARTER.datasets[0].repo
MODEL = "ada/tiny"
DETAILS = "board-details/details_ada__tiny"
RESTRICTED_DETAILS = f"{DETAILS}-restricted-answers"
REVISION = "0" * 40
WORLD = {
    "users": [
        {"name": "worker", "tokens": [{"token": "hf_worker", "role": "write"}]},
        {"name": "ada", "tokens": [{"token": "hf_ada", "role": "write"}]},
    ],
    "orgs": [
        {"name": "board-details", "members": {"worker": "admin"}},
        {"name": QUESTIONS.split("/")[0], "members": {"ada": "admin"}},
    ],
}


def access(hub: LocalHub) -> HubAccess:
    """The Hub with the worker's token."""
    return HubAccess(hub.url, "hf_worker")


def upload(hub: LocalHub, repo: str, files: dict[str, bytes], kind: str = "model") -> str:
    """Commit `files` as ada and return the commit."""
    api = HfApi(hub.url, "hf_ada")
    api.create_repo(repo, repo_type=kind, exist_ok=True)
    operations = [CommitOperationAdd(name, content) for name, content in files.items()]
    return api.create_commit(repo, operations, commit_message="Upload", repo_type=kind).oid


def upload_questions(hub: LocalHub, changes: dict[str, bytes] | None = None) -> str:
    """Publish the starter suite's questions, some files changed."""
    return upload(hub, QUESTIONS, {**dataset_files(), **(changes or {})}, "dataset")


def plan(spool: Path, number: int = 1) -> RunPlan:
    """The plan of the `number`-th attempt."""
    return RunPlan(
        attempt=f"0123456789ab-00000000-{number}",
        model=MODEL,
        revision=REVISION,
        model_path=spool,
        tasks=STARTER.run,
        datasets=spool,
        spool=spool,
        suite=STARTER.name,
        suite_digest=STARTER.digest,
    )


def publication(spool: Path, number: int = 1, ended: float = 1_795_521_600.0, **changes: Any) -> Publication:
    """The publication of that attempt."""
    fields: dict[str, Any] = {
        "repo": DETAILS,
        "restricted_repo": RESTRICTED_DETAILS,
        "plan": plan(spool, number),
        "suite": STARTER,
        "request": "ada/tiny_eval_request_False_float32_Original.json",
        "precision": "float32",
        "started": ended - 60,
        "ended": ended,
        "revisions": {QUESTIONS: REVISION},
        "log": f"reading {spool}/results.json as hf_worker\n",
        "secrets": ("hf_worker",),
    }
    return Publication(**{**fields, **changes})


def write_spool(spool: Path, raw: float = 0.5) -> None:
    """Write the files of a child that answered four questions of each task."""
    results = {t.name: dict.fromkeys(b.metrics, raw) for b in STARTER.benchmarks for t in b.tasks}
    (spool / "samples").mkdir(parents=True)
    (spool / "results.json").write_text(json.dumps({"results": results, "versions": {}}))
    for benchmark in STARTER.benchmarks:
        metric, _, filter_name = benchmark.metrics[0].partition(",")
        for task in benchmark.tasks:
            lines = [json.dumps(_sample(i, metric, filter_name)) for i in range(4)]
            (spool / "samples" / f"{task.name}.jsonl").write_text("\n".join(lines) + "\n")


def _sample(number: int, metric: str, filter_name: str) -> dict[str, Any]:
    return {
        "doc_id": number,
        "doc": {"input": f"Question {number}", "target": "Yes"},
        "target": "0",
        "arguments": {"gen_args_0": {"arg_0": f"Q: Question {number}\nA:", "arg_1": " Yes"}},
        "resps": [[["-0.5", "True"]]],
        "filtered_resps": [["-0.5", "True"]],
        "filter": filter_name,
        "metrics": [metric],
        metric: float(number % 2),
    }
