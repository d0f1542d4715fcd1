"""Runs scripted actions, and the actions that follow from them, at their times on the simulated clock.

An action is a generator, a *flow*. It yields simulated seconds to wait, or a condition to wait for, PATIENCE simulated
seconds at most; `yield` then returns the last value of the condition.
"""

from __future__ import annotations

import heapq
import itertools
import time
import traceback
from collections.abc import Callable, Generator
from dataclasses import dataclass, field
from typing import Any

from simulations.month.accelerated_clock import AcceleratedClock

PATIENCE = 5400.0
ACTIONS_OF_PEOPLE = ("submit", "scrawl", "report", "burst", "rename", "flag", "publish_scores", "try_out")
LOOK = 0.25
"""Real seconds between two checks of a condition."""

Flow = Generator[float | Callable[[], Any], Any, None]


@dataclass
class EventLoop:
    """All running flows."""

    clock: AcceleratedClock
    hub_is_away: Callable[[], bool] = lambda: False
    """Whether the Hub is unavailable now; people then retry later."""
    errors: list[str] = field(default_factory=list)
    """Errors in flows: faults of the script, and waits that timed out."""
    _due: list[tuple[float, int, str, Flow, Callable[[], Any] | None, float]] = field(default_factory=list)
    _order: itertools.count[int] = field(default_factory=itertools.count)

    def begin(self, name: str, flow: Flow, *, at: float) -> None:
        """Start `flow` at the simulated time `at`."""
        heapq.heappush(self._due, (at, next(self._order), name, flow, None, 0.0))

    def __len__(self) -> int:
        return len(self._due)

    def play(self, until: float) -> None:
        """Continue flows that are due, until the simulated clock shows `until`."""
        while (now := self.clock.now()) < until:
            if self._due and self._due[0][0] <= now:
                self._continue(*heapq.heappop(self._due))
                continue
            next_at = min(until, self._due[0][0] if self._due else until)
            time.sleep(max(0.0, min(LOOK, self.clock.real(next_at - now))))

    def shift(self, seconds: float) -> None:
        """Delay flows that wait for a time by `seconds`, after a jump of the clock."""
        self._due = [(at + seconds, order, name, flow, c, end + seconds) for at, order, name, flow, c, end in self._due]

    def _continue(
        self, _at: float, _order: int, name: str, flow: Flow, condition: Callable[[], Any] | None, end: float
    ) -> None:
        if name.partition(" ")[0] in ACTIONS_OF_PEOPLE and self.hub_is_away():
            self._later(LOOK * self.clock.rate, name, flow, condition, end)
            return
        try:
            answer = condition() if condition is not None else None
            if condition is not None and not answer:
                if self.clock.now() < end:
                    self._later(LOOK * self.clock.rate, name, flow, condition, end)
                    return
                self.errors.append(f"{self._date()} {name}: waited in vain at line {_line(flow)}")
            command = flow.send(answer)
        except StopIteration:
            return
        except Exception:  # noqa: BLE001  the error of one flow is reported at the end, and the month continues
            self.errors.append(f"{self._date()} {name}: {traceback.format_exc(limit=-3)}")
            return
        if callable(command):
            self._later(0.0, name, flow, command, self.clock.now() + PATIENCE)
        else:
            self._later(float(command), name, flow, None, 0.0)

    def _date(self) -> str:
        return time.strftime("%m-%d %H:%M", time.gmtime(self.clock.now()))

    def _later(self, seconds: float, name: str, flow: Flow, condition: Callable[[], Any] | None, end: float) -> None:
        heapq.heappush(self._due, (self.clock.now() + seconds, next(self._order), name, flow, condition, end))


def _line(flow: Flow) -> int:
    frame = getattr(flow, "gi_frame", None)
    return int(frame.f_lineno) if frame is not None else 0
