"""Errors during a command end in a sentence and an exit status, without a traceback."""

from __future__ import annotations

import getpass
from pathlib import Path
from typing import Any

import httpx2
import pytest
from redis.exceptions import NoPermissionError, TimeoutError
from typer.testing import CliRunner

from bot.core.flag_table import FlagBook
from hub.errors import Unreachable
from leaderboard.flags import FlagRecord
from redis_state.parking import ParkedSync, ParkedSyncs
from steward.cli import app
from steward.commands import submit
from steward.commands.board import operator

UNDER_WAY = {"code": "under-way", "message": "ada/good is being checked.", "model": "ada/good"}
BOARD = """
name: demo
title: Demo
suite: starter
repos: {requests: d/requests, results: d/results, logs: d/logs, flags: d/flags, community: d/board,
        details_namespace: d-details}
"""


@pytest.fixture
def board(tmp_path: Path, valkey_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The settings of a board whose Hub cannot be reached."""
    (tmp_path / "board.yaml").write_text(BOARD)
    settings = {"HF_ENDPOINT": "http://127.0.0.1:9", "REDIS_URL": valkey_url, "STEWARD_BOT_TOKEN": "hf_bot"}
    for name, value in {**settings, "STEWARD_BOARD": str(tmp_path / "board.yaml")}.items():
        monkeypatch.setenv(name, value)


@pytest.mark.parametrize(
    ("command", "where", "name", "error", "words"),
    [
        (["parked", "list"], ParkedSyncs, "all", TimeoutError(), "the queue server does not answer (TimeoutError)."),
        (
            ["parked", "list"],
            ParkedSyncs,
            "all",
            NoPermissionError(),
            "the user in REDIS_URL has no permission for this.",
        ),
        (["flags", "list"], FlagBook, "records", Unreachable("The Hub is away."), "The Hub is away."),
        (["flags", "list"], FlagBook, "records", TimeoutError(), "the queue server does not answer (TimeoutError)."),
    ],
)
def test_a_service_that_goes_away_is_told_of(
    board: None,
    monkeypatch: pytest.MonkeyPatch,
    command: list[str],
    where: type,
    name: str,
    error: Exception,
    words: str,
) -> None:
    """If a service fails during a command, the command exits with status 2 and a sentence that says what failed."""

    def broken(*_arguments: Any) -> Any:
        raise error

    monkeypatch.setattr(where, name, broken)
    result = CliRunner().invoke(app, command)
    assert (result.exit_code, result.exception.__class__) == (2, SystemExit)
    assert f"steward: {words}" in result.output


@pytest.mark.parametrize("url", ["localhost:6379", "", "redis://:se/cret@localhost:6379/0", "redis://localhost:x/0"])
def test_an_invalid_address_of_redis_is_reported(board: None, monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    """An invalid REDIS_URL ends the command with a message that shows the right form and reveals no password."""
    monkeypatch.setenv("REDIS_URL", url)
    result = CliRunner().invoke(app, ["parked", "list"])
    assert result.exit_code == 2
    assert "steward: REDIS_URL is no address of a queue server: write redis://host:6379/0" in result.output
    assert "cret" not in result.output


HOSTILE = "\x1b[2J\u202e[/red] it's gone"


@pytest.mark.parametrize("command", [["parked", "list"], ["flags", "list"]], ids=" ".join)
def test_control_characters_are_not_printed(board: None, monkeypatch: pytest.MonkeyPatch, command: list[str]) -> None:
    """Commands print untrusted text in tables and lines without control characters."""
    parked = ParkedSync(key=f"request:{HOSTILE}", error=HOSTILE, tries=8, since=1.0)
    record = FlagRecord(model=f"ada/{HOSTILE}", status="flagged", category="other", thread=HOSTILE)
    monkeypatch.setattr(ParkedSyncs, "all", lambda _: [parked])
    monkeypatch.setattr(FlagBook, "records", lambda _: [record])
    result = CliRunner().invoke(app, command, env={"COLUMNS": "200"})
    assert result.exit_code == 0, result.output
    assert "it's gone" in result.output
    assert not {"\x1b", "\u202e"} & set(result.output)


def test_an_account_without_a_name_is_an_operator(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the user id has no name, as in some containers, commands record the operator as "an operator"."""
    assert operator() == getpass.getuser()
    for error in (KeyError("getpwuid(): uid not found: 4242"), OSError("No username set in the environment")):
        monkeypatch.setattr(getpass, "getuser", lambda error=error: (_ for _ in ()).throw(error))
        assert operator() == "an operator"


@pytest.mark.parametrize(
    ("answers", "words"),
    [
        ([httpx2.ConnectError("no route")], "steward: nothing was submitted: "),
        ([httpx2.ReadTimeout("silence")], "steward: it is unknown whether the model was submitted: "),
        ([UNDER_WAY, httpx2.ConnectError("no route")], "steward: it is unknown whether the model was submitted: "),
    ],
)
def test_a_server_that_falls_silent_may_have_taken_it(
    monkeypatch: pytest.MonkeyPatch, answers: list[Any], words: str
) -> None:
    """`steward submit` reports that nothing was submitted only if it sent nothing."""

    def post(*_arguments: Any, **_named: Any) -> httpx2.Response:
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return httpx2.Response(202, json=answer)

    monkeypatch.setenv("HF_TOKEN", "hf_ada")
    monkeypatch.setattr(httpx2, "post", post)
    monkeypatch.setattr(submit, "POLL_SECONDS", 0.0)
    result = CliRunner().invoke(app, ["submit", "ada/good", "--server", "http://127.0.0.1:9"])
    assert (result.exit_code, answers) == (2, [])
    assert words in result.output
