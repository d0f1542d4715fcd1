"""Runs the operator's `steward` commands, each in its own process with the clock of the Hub."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.stage import peak_mb
from simulations.adoption.user_actions import BOT, token
from steward.children import Children


@dataclass(frozen=True)
class CommandResult:
    """The result of a command; `memory_mb` is its peak memory."""

    status: int
    printed: str
    memory_mb: float


class Operator:
    """Runs commands on the board file in `folder`."""

    def __init__(self, hub: Any, redis_url: str, folder: Path) -> None:
        self.hub, self.redis_url, self.folder = hub, redis_url, folder
        self.board, self.mirrors = folder / "board.yaml", folder / "mirrors"

    def steward(self, *arguments: str) -> CommandResult:
        """Run a command that has to succeed. Raises SystemExit."""
        result = self.run(*arguments)
        if result.status:
            words = result.printed + (self.folder / "commands.log").read_text("utf-8", "replace")[-2_000:]
            raise SystemExit(f"steward {' '.join(arguments)} ended with {result.status}: {words}")
        return result

    def run(self, *arguments: str) -> CommandResult:
        """Run a command that may fail; its standard error goes to `commands.log`."""
        command = [sys.executable, "-m", "steward.cli", *arguments]
        with (self.folder / "commands.log").open("ab") as log:
            process = subprocess.Popen(command, env=self.environment(), stdout=subprocess.PIPE, stderr=log, text=True)
        assert process.stdout is not None
        printed = process.stdout.read()
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        return CommandResult(process.returncode, printed, usage.ru_maxrss / 1024)

    def sync_until(self, condition: Callable[[], bool]) -> float:
        """Run a sync process until `condition()`, and return its peak memory in MB."""
        with Children(self.folder / "logs") as children:
            command = [sys.executable, "-m", "steward.cli", "sync"]
            child = children.start("sync", command, environment=self.environment(rate=1))
            while not condition():
                children.check()
                time.sleep(0.5)
            memory = peak_mb(child.process.pid)
            child.process.terminate()
            child.process.wait(60)
        return memory

    def environment(self, rate: int = 0) -> dict[str, str]:
        """Return the environment of a command; its clock stands still, or runs at `rate`."""
        secret = self.folder / "token"
        secret.touch(mode=0o600)
        secret.write_text(token(BOT))
        return {
            **{name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ},
            **{"HF_ENDPOINT": self.hub.url, "REDIS_URL": self.redis_url, "HF_HUB_DISABLE_TELEMETRY": "1"},
            **{"STEWARD_BOARD": str(self.board), "STEWARD_LOG_LEVEL": "warning"},
            **{"STEWARD_MIRRORS": str(self.mirrors), "STEWARD_BOT_TOKEN_FILE": str(secret)},
            "STEWARD_CLOCK": f"{self.hub.state.clock.seconds()},{rate}",
        }
