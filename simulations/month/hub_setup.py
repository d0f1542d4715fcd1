"""The initial Hub of the month (accounts, repos, models and webhooks) and the board file."""

from __future__ import annotations

import base64
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

import leaderboard
from localhub.testing import HubWorld
from simulations.month import scripted_evaluator
from simulations.month.models import KINDS, files_of
from simulations.month.processes import (
    APP,
    APP_SECRET,
    BOT,
    EYES,
    FORM,
    IMAGE,
    LENDERS,
    SCORES,
    SECRET,
    WORKER,
    MonthProcesses,
)
from simulations.month.schedule import Script, Submission, name_of
from workers.starter import dataset_files

REQUESTS, RESULTS, LOGS, FLAGS, CONTENTS = (
    f"month/{name}" for name in ("requests", "results", "logs", "flags", "contents")
)
SPACE, DETAILS, BENCHMARK = "month/leaderboard", "month-details", "month/riddles"
STARTER = Path(leaderboard.__file__).parent / "suites" / "starter.yaml"
BENCHMARK_FILE = """\
name: Riddles
evaluation_framework: math-arena
tasks: [{id: navigation, config: default, split: test}]
"""
MAINTAINERS = ("mia", "max")
PAGE_TASK = {"dataset": BENCHMARK, "task_id": "navigation", "unit": "percent"}
BACKEND = {
    "kind": "jobs",
    "namespace": "month",
    "flavor": "cpu-basic",
    "image": IMAGE,
    "parallel": 1,
    "costs": {"hourly": 0.01, "by_day": 5, "by_month": 100},
}
"""Jobs on the Hub beside the workers: each attempt runs where it is taken first."""


def token_of(person: str) -> str:
    """Return the token of a person."""
    return f"hf_{person}"


def world(script: Script, processes: MonthProcesses) -> HubWorld:
    """Return the world with which localhub starts; people can sign in to the board's pages, and Jobs run its worker."""
    people = [*map(name_of, range(script.scale.people)), *MAINTAINERS]
    accounts = {"bot": BOT, "form": FORM, "gpu": WORKER, "eyes": EYES, **LENDERS}
    accounts |= {name: token_of(name) for name in people}
    watched = [("dataset", name) for name in (REQUESTS, RESULTS, FLAGS)]
    made = (
        HubWorld(limits="hub")
        .users(accounts)
        .org("month", {"bot": "write", "form": "write", **dict.fromkeys(MAINTAINERS, "admin")})
        .org(DETAILS, {"gpu": "write", "bot": "read", **dict.fromkeys(LENDERS, "write")})
        .org("steward-suites")
        .datasets(REQUESTS, RESULTS, LOGS, FLAGS, CONTENTS)
        .repo("space", SPACE, sdk="static")
        .repo("dataset", BENCHMARK, {"eval.yaml": BENCHMARK_FILE})
        .repo("dataset", "steward-suites/starter", {name: data.decode() for name, data in dataset_files().items()})
        .webhook("bot", processes.webhook_url, *watched, ("space", SPACE), secret=SECRET)
    )
    scores = {"token": SCORES, "role": "fineGrained", "global": ["discussion.write"]}
    made["users"].append({"name": "scores", "tokens": [scores]})
    app = {"clientId": APP, "clientSecret": APP_SECRET, "name": "Month"}
    made["oauthApps"] = [{**app, "redirects": [f"{processes.web_url}/signin/callback"]}]
    made["jobs"] = {"images": {IMAGE: [str(processes.image)]}, "parallel": 2}
    for submission in script.submissions:
        _add_model(made, submission)
    return made


def _add_model(world: HubWorld, submission: Submission) -> None:
    kind = KINDS[submission.kind]
    if kind.files is None:
        return
    # The Hub stores weights in LFS with their sha256, which identifies copies.
    files = {
        name: {"lfs": _encoded(content)} if name.endswith((".safetensors", ".bin")) else _encoded(content)
        for name, content in files_of(kind, submission.number).items()
    }
    gated = {"gated": "manual"} if kind.gated else {}
    world.repo("model", submission.model, files, private=kind.private, **gated)


def _encoded(content: bytes) -> Any:
    try:
        return content.decode()
    except UnicodeDecodeError:
        return {"base64": base64.b64encode(content).decode()}


def evaluator_suite(folder: Path) -> dict[str, Any]:
    """Return the starter suite, with the scripted evaluator in `folder` in the place of lm-eval."""
    suite = yaml.safe_load(STARTER.read_text("utf-8"))
    benchmarks = [{**benchmark, "metrics": [scripted_evaluator.METRIC]} for benchmark in suite["benchmarks"]]
    command = [sys.executable, str(folder)]
    evaluator = {"name": scripted_evaluator.NAME, "version": scripted_evaluator.VERSION, "command": command}
    kept = {name: value for name, value in suite.items() if name not in ("run", "definitions")}
    return {**kept, "name": "month", "evaluator": evaluator, "benchmarks": benchmarks}


def board(ids: Mapping[str, str], suite: str) -> dict[str, Any]:
    """Return the board file; `ids` holds the Hub's ids of the accounts."""
    return {
        "name": "month",
        "title": "A month in the life",
        "suite": suite,
        "effects": {"others": "on", "model-pr": "on"},
        "model_pages": {"Navigation": {**PAGE_TASK, "same_task": True}},
        "backends": {"small": BACKEND},
        "workers": {"owned": ["gpu"], "check": {"questions": 4, "hours": 6}},
        "pull_requests": "merge",
        "front_ends": [ids["form"]],
        "maintainers": [ids[name] for name in MAINTAINERS],
        "admission": {"do_not_submit": ["person-000/never"]},
        "repos": {
            "requests": REQUESTS,
            "results": RESULTS,
            "logs": LOGS,
            "flags": FLAGS,
            "contents": CONTENTS,
            "community": SPACE,
            "details_namespace": DETAILS,
        },
    }
