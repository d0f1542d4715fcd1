"""Commands with which operators control the queue from a shell."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from hub.budget import Commits
from leaderboard.holds import PAUSES
from redis_state import clock
from steward.cli import app
from steward.testing.board import BOARD, BOT, BoardDriver
from workers.settings import WorkerSettings


@pytest.fixture
def path(stand: BoardDriver, valkey_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The path of a waiting request, in an environment with the settings of its board."""
    (tmp_path / "board.yaml").write_text(BOARD)
    for name, value in {
        "HF_ENDPOINT": stand.hub.url,
        "REDIS_URL": valkey_url,
        "STEWARD_BOARD": str(tmp_path / "board.yaml"),
        "STEWARD_BOT_TOKEN": BOT,
    }.items():
        monkeypatch.setenv(name, value)
    stand.context.ledger.budget.limits = Commits(at_once=60, first_wait=0.0)
    path = stand.submit("ada/good")
    stand.settle()
    return path


def test_the_queue_is_ruled_from_a_shell(stand: BoardDriver, path: str) -> None:
    """Each command prints a sentence, stages its change, and exits with 1 if it changes nothing."""

    def run(*words: str) -> tuple[int, str]:
        result = CliRunner().invoke(app, list(words))
        for _ in range(2):
            stand.time = clock.now() + 1  # the command has a clock of its own
            stand.settle()
        return result.exit_code, result.output

    code, output = run("pause", "tier:large", "--reason", "Moved.", "--by", "maya")
    assert (code, "Paused: tier:large. No new evaluation starts" in output) == (0, True)
    assert stand.file(PAUSES)["tier:large"]["by"] == "maya"
    assert run("pause", "tier:large", "--reason", "Moved.")[0] == 1
    assert run("resume", "tier:large")[0] == 0
    assert stand.file(PAUSES) == {"tier:large": None}
    assert "cannot be paused" in run("pause", "everything", "--reason", "x")[1]
    assert run("hold", path, "--reason", "Wait.")[0] == 0
    assert stand.file(path)["steward"]["hold"]["reason"] == "Wait."
    assert run("unhold", path)[0] == 0
    assert run("priority", path, "low")[0] == 0
    assert stand.file(path)["steward"]["priority"] == "low"
    assert run("cancel", path, "--reason", "Asked for.", "--by", "maya")[0] == 0
    assert stand.file(path)["status"] == "CANCELLED"
    code, output = run("hold", path, "--reason", "Wait.")
    assert (code, "has ended (CANCELLED)" in output) == (1, True)
    missing = "no/where_eval_request_False_float32_Original.json"
    assert "There is no request file" in run("cancel", missing, "--reason", "x")[1]


def test_a_request_is_named_by_its_model(stand: BoardDriver, path: str) -> None:
    """Commands accept a model's id, revision or URL; of several requests a precision chooses one, or all are listed."""
    commit = stand.context.index.get(path).commit

    def run(*words: str) -> tuple[int, str]:
        result = CliRunner().invoke(app, list(words))
        stand.time = clock.now() + 1  # the command has a clock of its own
        stand.settle()
        return result.exit_code, result.output

    for name in ("ada/good", "Ada/GOOD", f"ada/good@{commit[:8]}", f"{stand.hub.url}/ada/good", "hf.co/ada/good"):
        assert run("hold", name, "--reason", name)[0] == 0
        assert stand.file(path)["steward"]["hold"]["reason"] == name
        assert run("unhold", name)[0] == 0
        assert "PENDING" in run("status", name)[1]
    assert run("hold", "ada/good@0000", "--reason", "x") == (
        1,
        "steward: There is no request for ada/good@0000: give a model as org/name, or the path of a request's file.\n",
    )
    other = stand.submit("ada/good", path=path.replace("float32", "float16"), precision="float16")
    stand.settle()
    code, output = run("cancel", "ada/good", "--reason", "x")
    assert code == 1
    assert output.splitlines() == [
        "steward: several requests match ada/good: name one by --precision, --weight-type or its path:",
        f"  {other}",
        f"  {path}",
    ]
    assert run("priority", "ada/good", "low", "--precision", "fp16")[0] == 0
    assert stand.file(other)["steward"]["priority"] == "low"
    assert "priority" not in stand.file(path)["steward"]


def test_a_worker_whose_tiers_are_mistyped_does_not_start(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The error about a mistyped tier lists the valid ones."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("STEWARD_BOARD", "board.yaml")
    for wrong in ("smal", ","):
        monkeypatch.setenv("STEWARD_TIERS", wrong)
        with pytest.raises(ValueError, match="small, medium, large, or all"):
            WorkerSettings()
