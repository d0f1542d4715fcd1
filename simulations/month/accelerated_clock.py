"""Time as the processes of the month see it: faster than real, and jumping over what is left of a day.

Every process runs under libfaketime (Debian: libfaketime), preloaded with a rate: wall clock, monotonic clock, sleeps
and timeouts go together, in Redis as in Python, and nothing of the bot is changed for it. A file for each process says
how far its clock is ahead; rewriting it lets the clock jump, and the process sees it within a second.

What is played so is a slower machine: at ten times the speed a call that took 10 ms takes 100 ms.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from pathlib import Path

HOUR, DAY = 3600.0, 86_400.0
LAUNCH = """
now=$EPOCHREALTIME
ahead=$(awk -v e="$EPOCH" -v s="$STARTED" -v r="$RATE" -v n="$now" 'BEGIN{printf "%.3f", e+(n-s)*r-n}')
printf '+%s x%s\\n' "$ahead" "$RATE" > "$FAKETIME_TIMESTAMP_FILE"
unset EPOCH STARTED RATE
export LD_PRELOAD="$LIBRARY"
exec "$@"
"""
"""Reckoned in the shell right before `exec`: a Python that reckons it first would lag by all of its own start."""


class NoLibrary(RuntimeError):
    """libfaketime is not installed."""


def find_library() -> str:
    """The preloaded library. Raises NoLibrary."""
    found = [
        *Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1"),
        *Path("/usr/lib").glob("faketime/libfaketimeMT.so.1"),
    ]
    if not found:
        raise NoLibrary("A month is played with libfaketime: apt-get install libfaketime.")
    return str(found[0])


class PlayedClock:
    """What the clocks of the month's processes show, and how they are set. `rate`: played seconds per real second."""

    def __init__(self, folder: Path, rate: float) -> None:
        self.folder, self.rate, self.library = folder, rate, find_library()
        self.started = time.time()
        # A midnight ahead of us, so that no clock has to be set back: libfaketime takes no "+-1".
        self.epoch = self.started // DAY * DAY + DAY
        self._files: list[Path] = []

    def now(self) -> float:
        """Seconds since the epoch, played."""
        return self.epoch + (time.time() - self.started) * self.rate

    def real(self, seconds: float) -> float:
        """How many real seconds so many played ones take."""
        return seconds / self.rate

    def command(self, name: str, arguments: Sequence[str]) -> tuple[list[str], Mapping[str, str]]:
        """What to execute so that `arguments` run by this clock, and the variables that this needs."""
        file = self.folder / f"{name}.time"
        if file not in self._files:
            self._files.append(file)
        settings = {
            "LIBRARY": self.library,
            "FAKETIME_TIMESTAMP_FILE": str(file),
            "FAKETIME_CACHE_DURATION": "1",
            "NO_FAKE_STAT": "1",
            "EPOCH": repr(self.epoch),
            "STARTED": repr(self.started),
            "RATE": f"{self.rate:g}",
        }
        return ["bash", "-c", LAUNCH, name, *arguments], settings

    def jump(self, seconds: float) -> None:
        """All clocks go forward by so much, within a second of real time."""
        self.epoch += seconds
        for file in filter(Path.exists, self._files):
            ahead, rate = file.read_text("utf-8").split()
            new = file.with_suffix(".new")
            new.write_text(f"+{float(ahead) + seconds:.3f} {rate}\n", "utf-8")
            new.replace(file)
