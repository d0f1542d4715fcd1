"""An existing board is adopted: `simulations.adoption` in its smallest size, in one process."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from bot.probe import Probe
from simulations.adoption.bot_driver import BotDriver
from simulations.adoption.operator_commands import CommandResult, Operator
from simulations.adoption.run import simulate
from steward.cli import app

pytestmark = [pytest.mark.long("simulates the adoption of a board"), pytest.mark.timeout(900)]
SMALL = Namespace(requests=60, threads=15, days=1, seed=1)


@pytest.fixture
def operator(monkeypatch: pytest.MonkeyPatch, probe: Probe) -> type[Operator]:
    """Runs operators' commands in this process: a new process for each would take longer than the commands."""
    monkeypatch.setattr("simulations.adoption.bot_driver.Probe", lambda: probe)
    monkeypatch.setattr(probe, "close", lambda: None)  # other tests use it too
    monkeypatch.setattr("simulations.adoption.bot_driver.STEP", 21_600.0)

    class InProcess(Operator):
        def __init__(self, hub: Any, redis_url: str, folder: Path) -> None:
            super().__init__(hub, redis_url, folder)
            monkeypatch.setattr("redis_state.clock._clock", hub.state.clock.seconds)

        def run(self, *arguments: str) -> CommandResult:
            ran = CliRunner().invoke(app, arguments, env=self.environment())
            return CommandResult(ran.exit_code, ran.stdout, 0.0)

        def sync_until(self, condition: Callable[[], bool]) -> float:
            bot = BotDriver(self.hub, self.redis_url, self.board, self.mirrors)
            while not condition():
                bot.tick()
            bot.close()
            return 0.0

    return InProcess


def test_adoption_changes_nothing_old_and_answers_questions_alone(tmp_path: Path, operator: type[Operator]) -> None:
    """Adoption, shadow mode, effects switched on and imported flags change nothing old; only questions are answered."""
    report = simulate(tmp_path, SMALL, operator)
    assert report["wrong"] == []
    assert {kind for kind, *_ in report["done"]} == {"comment", "edit", "merged", "new-thread"}
    assert report["answered"] == report["asked"] == 5
