"""Faults of the month, and actions of operators, each as a flow (`event_loop`)."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

import yaml

from leaderboard.suites import find_suite
from simulations.month.event_loop import Flow
from simulations.month.hub_setup import STARTER
from simulations.month.processes import FORGER, MonthProcesses
from workers.starter import dataset_files

MINUTE = 60.0
QUESTIONS = "data/boolean_expressions/test.jsonl"
FORGING_MINUTES = 90
"""Minutes after which the forging worker becomes honest again, even if it took no job."""
OUTAGE, SILENCE = 12 * MINUTE, 8 * MINUTE


@dataclass
class FaultInjector:
    """Causes faults and repairs them."""

    processes: MonthProcesses
    board: dict[str, Any]
    context: Any
    events: list[str] = field(default_factory=list)
    """Descriptions of events since the last report."""
    away: bool = False
    """Whether the Hub is unavailable."""
    history: list[str] = field(default_factory=list)

    def restart(self, _seed: int) -> Flow:
        """Restart all processes of Steward gracefully."""
        yield from self._turn(self.processes.parts, together=True)

    def upgrade(self, _seed: int) -> Flow:
        """Restart one process after the other, as in a rolling upgrade."""
        yield from self._turn(self.processes.parts, together=False)

    def _turn(self, names: list[str], *, together: bool) -> Flow:
        rounds = [names] if together else [[name] for name in names]
        for group in rounds:
            rude = [name for name in group if not self.processes.stop(name)]
            self.processes.start(*group)
            yield self.processes.web_answers
            self.events.append(f"restarted {', '.join(group)}" + (f"; had to kill {rude}" if rude else ""))

    def kill(self, seed: int) -> Flow:
        """Kill a process of each kind, one after the other."""
        random = Random(seed)
        for kind in ("worker", "sync", "web", "schedule"):
            name = random.choice([part for part in self.processes.parts if part.startswith(kind)])
            self.processes.kill(name)
            self.events.append(f"killed {name}")
            yield random.uniform(5, MINUTE)
            self.processes.start(name)
            yield MINUTE

    def forger(self, _seed: int) -> Flow:
        """Let a worker of another account forge scores, until the bot sets the account aside."""
        if FORGER not in self.processes.parts:
            self.events.append("no worker of a third account, so none forges")
            return
        self.processes.stop(FORGER)
        self.processes.start_forger()
        self.events.append(f"{FORGER} forges scores")
        for _ in range(FORGING_MINUTES):
            yield MINUTE
            if self.is_set_aside():
                break
        self.events.append("it was set aside" if self.is_set_aside() else "it took no job in that time")
        self.processes.stop(FORGER)
        self.processes.start(FORGER)

    def is_set_aside(self) -> bool:
        """Whether the bot has set a worker aside."""
        return bool(self.context.set_aside.all())

    def outage(self, _seed: int) -> Flow:
        """Make the Hub answer with errors only."""
        self.events.append("the Hub answers 503")
        self.processes.admin("POST", "faults", {"route": "/api/*", "kind": "fail", "times": None, "status": 503})
        self.away = True
        yield OUTAGE
        self.processes.admin("DELETE", "faults")
        self.away = False

    def silence(self, _seed: int) -> Flow:
        """Make the Hub not answer at all."""
        self.events.append("the Hub does not answer")
        self.processes.admin("POST", "faults", {"route": "/api/*", "kind": "hang", "times": None, "seconds": 120})
        self.away = True
        yield SILENCE
        self.processes.admin("DELETE", "faults")
        self.away = False

    def redis(self, _seed: int) -> Flow:
        """Make the queue server lose all data."""
        self.events.append("Redis lost its data")
        self.processes.lose_queue()
        yield 0.0

    def breakage(self, _seed: int) -> Flow:
        """Change the suite's questions, so that evaluations fail; repair them after the pause and resume the suite."""
        self.events.append("the benchmark broke")
        whole = dataset_files()[QUESTIONS].decode()
        self._modify({QUESTIONS: whole + whole})
        yield self.is_paused
        self.events.append("the suite was paused" if self.is_paused() else "the suite was not paused")
        yield 10 * MINUTE
        self._modify({QUESTIONS: whole})
        if self.is_paused():
            done = self.processes.steward("resume", f"suite:{self.context.suite.name}")
            self.events.append(f"resumed: {done.returncode} {(done.stdout + done.stderr).strip()[:200]}")

    def _modify(self, files: dict[str, str]) -> None:
        self.processes.admin("POST", "modify", {"type": "dataset", "id": "steward-suites/starter", "files": files})

    def is_paused(self) -> bool:
        """Whether a suite is paused."""
        return any(str(what).startswith("suite:") for what in self.context.pauses.all())

    def suite(self, _seed: int) -> Flow:
        """Change the suite, restart everything with it, and queue finished requests again."""
        path = Path(self.board["suite"])
        suite = yaml.safe_load((path if path.exists() else STARTER).read_text("utf-8")) | {"version": 2}
        path = self.processes.folder / "suite-2.yaml"
        path.write_text(yaml.safe_dump(suite))
        self.board["suite"] = str(path)
        self.processes.write_board(self.board)
        self.context.suite = find_suite(str(path))  # people know it before they ask
        yield from self.restart(0)
        done = self.processes.steward("reevaluate", "--yes", "--limit", "20")
        self.events.append(f"reevaluate: {done.returncode} {(done.stdout + done.stderr).strip()[:200]}")
