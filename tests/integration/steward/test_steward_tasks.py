"""`steward tasks`: workers that wait because their tasks differ, and the operator's permission to go on."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import redis
from typer.testing import CliRunner

from leaderboard.suites import find_suite
from redis_state.accepted_digests import AcceptedDigests, RefusedTasks
from redis_state.clock import now
from redis_state.heartbeats import WorkerCard, WorkerRegistry
from redis_state.keys import Keys
from steward.cli import app

BOARD = """
name: fresh
title: Fresh
suite: starter
repos: {requests: fresh/requests, results: fresh/results, logs: fresh/logs, community: fresh/board,
        details_namespace: fresh-details}
"""
FINGERPRINT = f"{'a' * 16}-{'b' * 16}"


def test_waiting_workers_are_shown_and_go_on_once_their_tasks_are_accepted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, valkey_url: str
) -> None:
    """Only running workers that wait are shown, with what differs; accepting their fingerprint releases them."""
    (tmp_path / "board.yaml").write_text(BOARD)
    settings = {
        "HF_ENDPOINT": "http://127.0.0.1:1",
        "REDIS_URL": valkey_url,
        "STEWARD_BOARD": str(tmp_path / "board.yaml"),
        "STEWARD_BOT_TOKEN": "hf_bot",
        "STEWARD_MIRRORS": str(tmp_path / "mirrors"),
    }
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    connection = redis.Redis.from_url(valkey_url)
    accepted = AcceptedDigests(connection, Keys("fresh"), find_suite("starter").digest)
    for worker in ("alive", "gone"):
        refused = RefusedTasks(worker=worker, fingerprint=FINGERPRINT, differences=("t: other requests",), at=now())
        accepted.refuse(refused)
    card = WorkerCard(name="alive", tiers=("all",), since=now(), beat=now())
    WorkerRegistry(connection, Keys("fresh")).announce(card)

    def run(*arguments: str, status: int = 0) -> str:
        result = CliRunner().invoke(app, ["tasks", *arguments])
        assert result.exit_code == status, result.output
        return result.stdout

    shown = run()
    assert "alive waits" in shown
    assert "  t: other requests\n" in shown
    assert f"steward tasks --accept {FINGERPRINT}" in shown
    assert "gone" not in shown
    assert [refusal["worker"] for refusal in json.loads(run("--json"))["waiting"]] == ["alive"]
    run("--accept", f"{'c' * 16}-{'c' * 16}", status=1)
    assert accepted.must_wait("alive")
    assert run("--accept", FINGERPRINT) == "Accepted. Workers that waited go on: 1.\n"
    assert not accepted.must_wait("alive")
    assert run() == "No worker waits: all evaluate the tasks of the board's results.\n"
