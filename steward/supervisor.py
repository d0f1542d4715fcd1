"""Keeps several processes running: restarts each that ends, after growing waits, and stops all together.

A process that ends with MISCONFIGURED or AWAY before it has ever run for long may do so forever. Then the supervisor
stops everything with that status, because a person has to read the process's message. A process that has run for long
before is restarted.

No library is used: honcho ends all processes when one ends; supervisord is a daemon with a configuration file and a
control socket of its own, and goes on without a process that it has given up.
"""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from redis_state.stopping import Stop
from steward.children import die_with_parent, end
from steward.exit_statuses import AWAY, MISCONFIGURED

STEADY_SECONDS = 60.0
"""Seconds after which a process counts as running well, and the count of its failures starts again."""
FIRST_WAIT, MAX_WAIT = 1.0, 60.0
MAX_DOUBLINGS = 16
"""Most doublings of the wait that are computed: after a thousand, which a process that never starts reaches in a day,
the number would overflow."""
GRACE_SECONDS = 12.0
"""Seconds for all processes to stop: a little more than each of them needs at most."""
POLL_SECONDS = 0.2


@dataclass
class SupervisedProcess:
    """One process: its command and its history."""

    name: str
    arguments: Sequence[str]
    environment: Mapping[str, str]
    process: subprocess.Popen[bytes] | None = None
    since: float = 0.0
    deaths: int = 0
    due: float = 0.0
    ran_well: bool = False
    """Whether it has ever run for long: then its settings are right, and a missing service may come back."""


class Supervisor:
    """Runs `parts`, with the output of this process. `say` gets a message about every restart.

    `keep_services` is called at each poll before anything starts; it restarts services that the parts need.
    """

    def __init__(
        self,
        parts: Sequence[SupervisedProcess],
        say: Callable[[str], None],
        keep_services: Callable[[], object] = lambda: None,
    ) -> None:
        self.parts = tuple(parts)
        self._say, self._keep_services = say, keep_services

    def run(self, stop: Stop) -> int:
        """Keep the processes running until `stop` is set, and return 0, or the status of one that cannot start."""
        try:
            while not stop.is_set():
                self._keep_services()
                for part in self.parts:
                    if status := self._poll(part, time.monotonic()):
                        return status
                stop.wait(POLL_SECONDS)
            return 0
        finally:
            self.end()

    def _poll(self, part: SupervisedProcess, now: float) -> int:
        """Start `part` if it is due. Return 0, or its status if it cannot run."""
        if part.process is None:
            if now >= part.due:
                self._start(part, now)
            return 0
        status = part.process.poll()
        if status is None:
            return 0
        steady = now - part.since >= STEADY_SECONDS
        part.process, part.deaths = None, 1 if steady else part.deaths + 1
        part.ran_well |= steady
        if status in (MISCONFIGURED, AWAY) and not part.ran_well:
            self._say(f"{part.name} cannot start; correct the problem in its message above first.")
            return status
        self._delay(part, now, f"ended with status {status}")
        return 0

    def _delay(self, part: SupervisedProcess, now: float, problem: str) -> None:
        """Schedule the next start of `part`, after a wait that grows with the number of its deaths."""
        wait = min(MAX_WAIT, FIRST_WAIT * 2.0 ** min(part.deaths - 1, MAX_DOUBLINGS))
        part.due = now + wait
        self._say(f"{part.name} {problem}; it restarts in {wait:.0f} s.")

    def _start(self, part: SupervisedProcess, now: float) -> None:
        part.since = now
        try:
            part.process = subprocess.Popen(
                list(part.arguments),
                env=dict(part.environment),
                stdin=subprocess.DEVNULL,
                start_new_session=True,  # this process handles Ctrl-C and stops them in order
                preexec_fn=die_with_parent,
            )
        except OSError as error:  # too many processes, or the programs are being replaced
            part.deaths += 1
            self._delay(part, now, f"cannot be started ({error})")

    def end(self) -> None:
        """Stop all processes, the last first."""
        end([part.process for part in reversed(self.parts) if part.process is not None], within=GRACE_SECONDS)
