"""Settings, commands with options, and the board file of version 0.1.0 still mean the same.

`recorded/version_0_1_0.json` contains the names in its reference pages (commit c423d37). The Redis and the Hub of a
board of that version are in tests/integration/bot/test_recorded_board.py.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from typer.core import TyperGroup
from typer.main import get_command

from bot.core.settings import BotSettings
from leaderboard.boards import parse_board
from leaderboard.effects import Effect, EffectMode
from steward.cli import app
from steward.reference import settings_page
from workers.settings import WorkerSettings

RECORDED = Path(__file__).parent / "recorded"


@pytest.fixture(scope="module")
def earlier() -> dict[str, Any]:
    """The names of settings, commands and options of version 0.1.0."""
    recorded: dict[str, Any] = json.loads((RECORDED / "version_0_1_0.json").read_text("utf-8"))
    return recorded


def test_every_earlier_setting_is_one(earlier: dict[str, Any]) -> None:
    """Every setting of version 0.1.0 still exists under the same name."""
    assert set(earlier["settings"]) - set(re.findall(r"\b[A-Z][A-Z_]+\b", settings_page())) == set()


@pytest.mark.long("two seconds of a processor")
def test_every_earlier_command_takes_its_options(earlier: dict[str, Any]) -> None:
    """Every command of version 0.1.0 still exists and takes the same options, hidden or not."""
    wrong = []
    for name, options in earlier["commands"].items():
        command = get_command(app)
        for word in name.split():
            assert isinstance(command, TyperGroup) and word in command.commands, name
            command = command.commands[word]
        present = {word for param in command.params for word in (*param.opts, *param.secondary_opts)}
        wrong += [f"{name} {option}" for option in options if option not in present]
    assert wrong == []


def test_the_environment_of_earlier_processes_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The environment variables of version 0.1.0 are still read, also secrets in files."""
    for name, value in {"redis": "redis://queue:6379/0", "bot": "hf_bot", "worker": "hf_worker", "hook": "s"}.items():
        (tmp_path / name).write_text(f"{value}\n")
    for variable, value in {
        "REDIS_URL_FILE": str(tmp_path / "redis"),
        "STEWARD_BOARD": str(RECORDED / "board_0_1_0.yaml"),
        "STEWARD_BOT_TOKEN_FILE": str(tmp_path / "bot"),
        "STEWARD_WEBHOOK_SECRET_FILE": str(tmp_path / "hook"),
        "STEWARD_WORKER_TOKEN_FILE": str(tmp_path / "worker"),
        "STEWARD_HARNESS": "workers.harness",
        "STEWARD_DEVICE": "cuda:0,1",
    }.items():
        monkeypatch.setenv(variable, value)
    bot, worker = BotSettings(), WorkerSettings()
    assert (bot.redis_url, bot.token(), bot.secrets()) == ("redis://queue:6379/0", "hf_bot", ("s",))
    assert (worker.token(), worker.device) == ("hf_worker", "cuda:0,1")
    assert bot.read_board().name == "our-board"


def test_an_earlier_board_file_means_the_same() -> None:
    """A board file of version 0.1.0 is read with the same values."""
    board = parse_board((RECORDED / "board_0_1_0.yaml").read_text("utf-8"))
    assert (board.name, board.suite, board.threads, board.pull_requests) == ("our-board", "starter", "always", "merge")
    assert (board.repos.logs, board.repos.details("a/b")) == ("our/logs", "our-details/details_a__b")
    assert (board.effects.mode(Effect.EDIT), board.effects.mode(Effect.COMMENT)) == (EffectMode.ON, EffectMode.SHADOW)
    assert (board.attempts, board.attempt_seconds, board.tiers.small) == (2, 3600, 8)
