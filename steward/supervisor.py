"""Several processes kept running: whoever dies is started again, later each time; all end together.

A process that ends with MISCONFIGURED or AWAY before it has ever run for long would perhaps do so for ever: then
everything ends with that, for its sentence has to be read by a person. One that ran well before is tried again.
"""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from redis_state.stopping import Stop
from steward.children import die_with_parent, end
from steward.exit_statuses import AWAY, MISCONFIGURED

STEADY = 60.0
"""Seconds after which a process counts as running well: its next death is its first one again."""
FIRST_WAIT, LONGEST_WAIT = 1.0, 60.0
GRACE = 12.0
"""Seconds for all of them to end when told to: a little more than each promises."""
LOOK_EVERY = 0.2


@dataclass
class SupervisedProcess:
    """One process: how it is started, and how it went so far."""

    name: str
    arguments: Sequence[str]
    environment: Mapping[str, str]
    process: subprocess.Popen[bytes] | None = None
    since: float = 0.0
    deaths: int = 0
    due: float = 0.0
    ran_well: bool = False
    """Whether it ever ran for long: then its settings are right, and what it misses now may come back."""


class Supervisor:
    """Runs `parts`; what they print goes where ours goes. `say` is told of every start after the first, and why.

    `mind` is called at each look, before anything is started: it cares for what the parts need.
    """

    def __init__(
        self, parts: Sequence[SupervisedProcess], say: Callable[[str], None], mind: Callable[[], object] = lambda: None
    ) -> None:
        self.parts = tuple(parts)
        self._say, self._mind = say, mind

    def run(self, stop: Stop) -> int:
        """Keep them running until `stop` is set: 0, else with what one of them ended that cannot start."""
        try:
            while not stop.is_set():
                self._mind()
                for part in self.parts:
                    if status := self._look(part, time.monotonic()):
                        return status
                stop.wait(LOOK_EVERY)
            return 0
        finally:
            self.end()

    def _look(self, part: SupervisedProcess, now: float) -> int:
        """Start `part` where it is due; 0, or its status where it cannot run."""
        if part.process is None:
            if now >= part.due:
                self._start(part, now)
            return 0
        status = part.process.poll()
        if status is None:
            return 0
        steady = now - part.since >= STEADY
        part.process, part.deaths = None, 1 if steady else part.deaths + 1
        part.ran_well |= steady
        if status in (MISCONFIGURED, AWAY) and not part.ran_well:
            self._say(f"{part.name} cannot start; what it says above has to be mended first.")
            return status
        wait = min(LONGEST_WAIT, FIRST_WAIT * 2.0 ** (part.deaths - 1))
        part.due = now + wait
        self._say(f"{part.name} ended with status {status}; it is started again in {wait:.0f} s.")
        return 0

    def _start(self, part: SupervisedProcess, now: float) -> None:
        part.since = now
        part.process = subprocess.Popen(
            list(part.arguments),
            env=dict(part.environment),
            stdin=subprocess.DEVNULL,
            start_new_session=True,  # Ctrl-C is for us: we end them in order
            preexec_fn=die_with_parent,
        )

    def end(self) -> None:
        """End all of them, the last first."""
        end([part.process for part in reversed(self.parts) if part.process is not None], within=GRACE)
