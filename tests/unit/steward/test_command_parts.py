"""Parts of commands that need no board: files that are replaced, logs of processes that died, the demo."""

from __future__ import annotations

import os
import socket
from inspect import signature
from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console

from bot.read_models.submit_models import SubmissionBody
from leaderboard.attempts import Failure
from redis_state.board.messages import CheckQuestion
from steward.children import ChildDied
from steward.commands.board import settings_of
from steward.commands.check import check
from steward.commands.effects import _replace
from steward.commands.submit import submit
from steward.demo.run import died, reserved_port
from steward.demo.story import SUBMISSIONS
from steward.demo.timeline import Timeline
from steward.demo.watch import SubmissionReport, SubmissionStatus


def test_a_board_file_keeps_its_rights(tmp_path: Path) -> None:
    """A board file is replaced as a whole, keeps its permissions, and leaves no temporary file."""
    file = tmp_path / "board.yaml"
    file.write_text("old")
    file.chmod(0o640)
    _replace(file, "new")
    assert (file.read_text(), file.stat().st_mode & 0o777) == ("new", 0o640)
    assert list(tmp_path.iterdir()) == [file]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can change another user's file and keep its owner")
def test_a_board_file_that_root_changes_stays_its_owners(tmp_path: Path) -> None:
    """A board file that root changes keeps its owner, because the processes run as the owner."""
    file = tmp_path / "board.yaml"
    file.write_text("old")
    file.chmod(0o600)
    os.chown(file, 1000, 1000)
    _replace(file, "new")
    assert (file.stat().st_uid, file.stat().st_gid, file.stat().st_mode & 0o777) == (1000, 1000, 0o600)


def test_what_is_checked_is_what_would_be_submitted() -> None:
    """`steward check` and `steward submit` have the same default precision, revision and weight type as the API."""
    for name in ("precision", "revision", "weight_type"):
        defaults = [signature(command).parameters[name].default for command in (check, submit)]
        assert {*defaults, CheckQuestion.model_fields[name].default} == {SubmissionBody.model_fields[name].default}, (
            name
        )


def test_the_last_words_of_a_process_are_no_markup() -> None:
    """Brackets in the last log lines of a process are printed as they are, not as markup."""
    shown = StringIO()
    Console(file=shown, width=200).print(died(ChildDied("web ended with status 1:\n[info     ] read [/tmp/x] [red]")))
    assert shown.getvalue() == "web ended with status 1:\n[info     ] read [/tmp/x] [red]\n"


def test_commands_find_the_queue_server_of_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where `steward up` ran, or with `STEWARD_DATA`, commands find its Redis; the setting takes precedence."""
    for name in ("REDIS_URL", "REDIS_URL_FILE", "STEWARD_REDIS_URL", "STEWARD_DATA"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)
    assert settings_of().redis_url == "redis://127.0.0.1:6379/0"
    for folder in ("steward-data", "elsewhere"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "redis-url").write_text(f"redis://{folder}.example/0\n")
    assert settings_of().redis_url == "redis://steward-data.example/0"
    monkeypatch.setenv("STEWARD_DATA", "elsewhere")
    assert settings_of().redis_url == "redis://elsewhere.example/0"
    monkeypatch.setenv("REDIS_URL", "redis://own.example/0")
    assert settings_of().redis_url == "redis://own.example/0"


def test_the_demo_uses_the_next_port_where_one_is_taken() -> None:
    """If its port is taken, the demo uses the next free one and says so; two demos do not choose the same port."""
    messages: list[str] = []
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with reserved_port(port, messages.append) as first, reserved_port(port, messages.append) as second:
            assert port < first < second
    assert messages == [f"Port {port} is taken; using {first}", f"Port {port} is taken; using {second}"]


def test_the_demo_shows_an_expected_failure_as_a_failure() -> None:
    """A failure that the demo expects is shown with a cross and its cause, and its reason once."""
    shown = StringIO()
    timeline = Timeline(Console(file=shown, width=200), live=False)
    failure = Failure(cause="python-files", fault="submission", message="It contains code.")
    standing = SubmissionStatus(SUBMISSIONS[1], "FAILED", failure, "https://hub.example/1")
    report: SubmissionReport = {
        "model": "bob/mamba-turbo",
        "status": "FAILED",
        "scores": None,
        "failure": failure.model_dump(),
        "thread": standing.thread,
        "right": True,
    }
    timeline.show([standing], has_worker=True)
    timeline.ending({"seconds": 1.0, "hub": "", "requests": [report]})
    assert shown.getvalue().count("It contains code.") == 1
    assert "FAILED: python-files" in shown.getvalue()
    assert "❌ FAILED" in shown.getvalue()
    assert "✅" not in shown.getvalue()


def test_the_demo_says_what_it_waits_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """After some seconds without news, the demo says that the worker is not ready yet."""
    monkeypatch.setattr("steward.demo.timeline.SILENCE", 0.0)
    shown = StringIO()
    timeline = Timeline(Console(file=shown, width=200), live=False)
    waiting = SubmissionStatus(SUBMISSIONS[0], "PENDING")
    timeline.show([waiting], has_worker=False)
    timeline.show([waiting], has_worker=False)
    assert (
        f"… {waiting.submission.model}: PENDING; the worker is still loading the evaluation harness" in shown.getvalue()
    )
