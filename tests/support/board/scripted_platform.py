"""A platform of runs whose state a test sets: it starts nothing, and can fail before and after a start."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace

from bot.core.platforms import LaunchOrder, PlatformError
from leaderboard.backends import BackendRun, RunStage
from redis_state import clock


@dataclass
class ScriptedPlatform:
    """A platform in memory. `fails`: raise "before" or "after" the next start; `is_away`: raise at every call.

    `looks`: how often its runs were listed.
    """

    runs_by_id: dict[str, BackendRun] = field(default_factory=dict)
    orders: list[LaunchOrder] = field(default_factory=list)
    cancelled: list[str] = field(default_factory=list)
    hidden: set[str] = field(default_factory=set)
    fails: str = ""
    is_away: bool = False
    looks: int = 0
    now: float = field(default_factory=clock.now)

    def problems(self) -> Iterator[str]:
        """Return no problem."""
        self._answer()
        yield from ()

    def runs(self) -> list[BackendRun]:
        """Return all runs that are not hidden."""
        self._answer()
        self.looks += 1
        return [run for run in self.runs_by_id.values() if run.id not in self.hidden]

    def launch(self, order: LaunchOrder) -> str:
        """Record a run, which waits for a machine."""
        self._answer()
        fails, self.fails = self.fails, ""
        if fails == "before":
            raise PlatformError("no start")
        self.orders.append(order)
        run = BackendRun(f"run-{len(self.orders)}", order.attempt, order.tier, "waiting", self.now)
        self.runs_by_id[run.id] = run
        if fails == "after":
            raise PlatformError("started, and the answer was lost")
        return run.id

    def cancel(self, run: BackendRun) -> None:
        """Record the cancel; the test decides whether the run ends."""
        self._answer()
        self.cancelled.append(run.id)

    def becomes(self, run_id: str, stage: RunStage) -> None:
        """Change the stage of a run now."""
        run = self.runs_by_id[run_id]
        started = run.started or (self.now if stage == "running" else 0.0)
        ended = 0.0 if stage in ("waiting", "running") else self.now
        self.runs_by_id[run_id] = replace(run, stage=stage, started=started, ended=ended)

    def _answer(self) -> None:
        if self.is_away:
            raise PlatformError("the platform is away")
