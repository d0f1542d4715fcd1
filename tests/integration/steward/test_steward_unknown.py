"""`steward unknown`: the list of failures with an unknown cause."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from huggingface_hub import CommitOperationAdd, HfApi
from typer.testing import CliRunner

from leaderboard.attempts import Failure, Outcome, attempt_id
from leaderboard.evidence import FailureEvidence
from localhub.testing import HubWorld, LocalHub
from steward.cli import app

BOARD = """
name: fresh
title: Fresh
suite: starter
repos: {requests: fresh/requests, results: fresh/results, logs: fresh/logs, community: fresh/board,
        details_namespace: fresh-details}
"""
WORLD = HubWorld().user("bot").org("fresh", {"bot": "admin"}).datasets("fresh/requests", "fresh/results", "fresh/logs")
REVISION = "a" * 40


def request(name: str, cause: str, **more: str) -> CommitOperationAdd:
    """A failed request."""
    failure = Failure(cause=cause, fault="unknown", message="The evaluation failed, and we do not know why yet: ?")
    steward: dict[str, Any] = {"attempt": 1, "revision": REVISION, "failure": failure.model_dump()}
    fields = {"model": f"ada/{name}", "status": "FAILED", "revision": "main", "precision": "float16"}
    return CommitOperationAdd(path(name), json.dumps({**fields, **more, "steward": steward}).encode())


def path(name: str) -> str:
    """The path of the model's request file."""
    return f"ada/{name}_eval_request_False_float16_Original.json"


def outcome(name: str, evidence: FailureEvidence) -> CommitOperationAdd:
    """The outcome that the request's worker reported."""
    attempt = attempt_id("fresh", path(name), REVISION, 1)
    attempt_outcome = Outcome(
        attempt=attempt, path=path(name), revision=REVISION, suite="starter", suite_digest="", started=1, ended=2,
        phase="load", evidence=evidence,
    )  # fmt: skip
    return CommitOperationAdd(f"ada/{name}/{attempt}/outcome.json", attempt_outcome.model_dump_json().encode())


def test_unknown_deaths_are_listed_with_the_end_of_their_logs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, valkey_url: str
) -> None:
    """`steward unknown` lists failures of unknown cause with their logs and diagnosis, and reports Hub errors."""
    (tmp_path / "board.yaml").write_text(BOARD)
    with LocalHub(tmp_path / "hub", WORLD) as hub:
        api = HfApi(hub.url, token="hf_bot")
        strange = FailureEvidence("load", "RuntimeError", "?", log_tail="first\n\nthe moon is full")
        learned = FailureEvidence("load", "WeightsTruncated", "model.safetensors is short")
        requests = [request("strange", "unknown"), request("learned", "unknown"), request("known", "time-limit")]
        requests.append(request("refused", "licence-missing", license="unknown"))
        for repo, files in (
            ("fresh/requests", requests),
            ("fresh/logs", [outcome("strange", strange), outcome("learned", learned)]),
        ):
            api.create_commit(repo, files, commit_message="Add", repo_type="dataset")
        settings = {
            "HF_ENDPOINT": hub.url,
            "REDIS_URL": valkey_url,
            "STEWARD_BOARD": str(tmp_path / "board.yaml"),
            "STEWARD_BOT_TOKEN": "hf_bot",
            "STEWARD_MIRRORS": str(tmp_path / "mirrors"),
        }
        for name, value in settings.items():
            monkeypatch.setenv(name, value)
        shown = CliRunner().invoke(app, ["unknown"])
        listed = json.loads(CliRunner().invoke(app, ["unknown", "--json"]).stdout)["unknown"]
        hub.state.faults.fail("GET *fresh/logs/resolve/*", status=403, times=None)
        refused = CliRunner().invoke(app, ["unknown"])
    assert shown.exit_code == 0, shown.output
    assert refused.exit_code == 1
    assert refused.stderr.startswith("steward: ")
    assert "Failures with an unknown cause: 2." in shown.stdout
    assert "| the moon is full" in shown.stdout
    assert "The present table of causes diagnoses weights-truncated." in shown.stdout
    assert {failure["model"]: failure["now"] for failure in listed} == {
        "ada/learned": "weights-truncated",
        "ada/strange": "unknown",
    }
