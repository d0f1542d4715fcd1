"""Runs operators' commands on a board with one finished evaluation."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from hub.budget import Commits
from leaderboard.suites import parse_suite
from redis_state import clock, jobs
from steward.cli import app
from steward.testing.board import BOARD, BOT, WORKER, BoardDriver
from tests.support.workers.evaluation_inputs import plan, publication
from workers.common.hub_access import HubAccess
from workers.publication.publish import publish

Command = Callable[..., tuple[int, dict[str, Any]]]


def use_suite(stand: BoardDriver, text: str, folder: Path) -> None:
    """Make the suite with this text the board's, and write it to `folder`."""
    (folder / "suite.yaml").write_text(text)
    stand.context.suite = parse_suite(text)


def operator_command(
    verb: str, stand: BoardDriver, valkey_url: str, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> Command:
    """Return a function that runs `steward VERB --json`, lets the bot sync, and returns exit status and output.

    The board's suite is the file `suite.yaml` in `folder`; see `use_suite`.
    """
    (folder / "board.yaml").write_text(BOARD.replace("suite: starter", f"suite: {folder / 'suite.yaml'}"))
    for name, value in {
        "HF_ENDPOINT": stand.hub.url,
        "REDIS_URL": valkey_url,
        "STEWARD_BOARD": str(folder / "board.yaml"),
        "STEWARD_BOT_TOKEN": BOT,
        "STEWARD_WORKER_TOKEN": WORKER,
        "STEWARD_MIRRORS": str(folder / "mirrors"),
    }.items():
        monkeypatch.setenv(name, value)
    stand.context.ledger.budget.limits = Commits(at_once=60, first_wait=0.0)

    def run(*words: str) -> tuple[int, dict[str, Any]]:
        done = CliRunner().invoke(app, [verb, "--json", *words])
        stand.time = clock.now() + 1
        stand.settle()
        stand.context.mark("scores")
        stand.settle()
        assert done.output.endswith("}\n"), done.output
        return done.exit_code, json.loads(done.output.splitlines()[-1])

    return run


def finish_evaluation(
    stand: BoardDriver, spool: Path, evaluate: Callable[[jobs.EvaluationJob], None] = lambda _: None, **changes: Any
) -> jobs.EvaluationJob:
    """Evaluate ada/good by the board's suite, and publish as a worker what the child left in `spool`; return the job.

    `evaluate` fills the spool if its content depends on the job; `changes` are fields of the publication.
    """
    job = stand.started()
    evaluate(job)
    attempt = {"attempt": job.attempt, "model": job.model, "revision": job.revision, "suite_digest": job.suite_digest}
    repos = stand.context.board.repos
    made = publication(
        spool,
        repo=repos.details(job.model),
        restricted_repo=repos.restricted_details(job.model),
        suite=stand.context.suite,
        request=job.path,
        plan=plan(spool).model_copy(update=attempt),
        **changes,
    )
    stand.end(job, details=publish(made, HubAccess(stand.hub.url, WORKER)))
    assert stand.file(job.path)["status"] == "FINISHED"
    return job
