"""The accelerated clock of the simulated month, which can jump to the next day.

Every process runs with libfaketime (Debian: libfaketime) preloaded and a rate: wall clock, monotonic clock, sleeps and
timeouts agree, in Redis as in Python, without changes of the bot. A file per process holds the offset of its clock;
rewriting it makes the clock jump, and the process sees it within a second.

The machine seems slower by the same factor: at ten times the speed, a call of 10 ms takes 100 simulated ms.
"""

from __future__ import annotations

import shlex
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

HOUR, DAY = 3600.0, 86_400.0
EPOCH_FILE = "epoch"
"""The file with the simulated time at the start, plus all jumps, for processes that other processes start."""
LAUNCH = """
now=$EPOCHREALTIME
ahead=$(awk -v e="$EPOCH" -v s="$STARTED" -v r="$RATE" -v n="$now" 'BEGIN{printf "%.3f", e+(n-s)*r-n}')
printf '+%s x%s\\n' "$ahead" "$RATE" > "$FAKETIME_TIMESTAMP_FILE"
unset EPOCH STARTED RATE
export LD_PRELOAD="$LIBRARY"
exec "$@"
"""
"""Computes the offset in the shell right before `exec`, because the start of a Python process would delay it."""


class NoLibrary(RuntimeError):
    """libfaketime is not installed."""


def find_library() -> str:
    """Return the path of libfaketime. Raises NoLibrary."""
    paths = [
        *Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1"),
        *Path("/usr/lib").glob("faketime/libfaketimeMT.so.1"),
    ]
    if not paths:
        raise NoLibrary("The simulation of a month needs libfaketime: apt-get install libfaketime.")
    return str(paths[0])


class AcceleratedClock:
    """The clocks of the month's processes. `rate`: simulated seconds per real second."""

    def __init__(self, folder: Path, rate: float) -> None:
        self.folder, self.rate, self.library = folder, rate, find_library()
        self.started = time.time()
        # A midnight in the future, because libfaketime accepts no negative offset.
        self.epoch = self.started // DAY * DAY + DAY
        self._note_epoch()

    def now(self) -> float:
        """Return simulated seconds since the epoch."""
        return self.epoch + (time.time() - self.started) * self.rate

    def real(self, seconds: float) -> float:
        """Return the real seconds of `seconds` simulated seconds."""
        return seconds / self.rate

    def command(self, name: str, arguments: Sequence[str]) -> tuple[list[str], Mapping[str, str]]:
        """Return the command and the variables that run `arguments` with this clock."""
        settings = {"EPOCH": repr(self.epoch), "FAKETIME_TIMESTAMP_FILE": str(self.folder / f"{name}.time")}
        return ["bash", "-c", LAUNCH, name, *arguments], {**self._settings(), **settings}

    def _settings(self) -> dict[str, str]:
        return {
            "LIBRARY": self.library,
            "FAKETIME_CACHE_DURATION": "1",
            "NO_FAKE_STAT": "1",
            "STARTED": repr(self.started),
            "RATE": f"{self.rate:g}",
        }

    def script(self, settings: Mapping[str, str], arguments: str) -> str:
        """Return a shell script that runs `arguments` with this clock and these variables, whenever it is started."""
        exports = [f"export {name}={shlex.quote(value)}" for name, value in {**settings, **self._settings()}.items()]
        times = f"export FAKETIME_TIMESTAMP_FILE={shlex.quote(str(self.folder))}/run-$$.time"
        epoch = f"export EPOCH=$(cat {shlex.quote(str(self.folder / EPOCH_FILE))})"
        return "\n".join(["#!/bin/bash", *exports, times, epoch, f"set -- {arguments}", LAUNCH])

    def _note_epoch(self) -> None:
        new = self.folder / f"{EPOCH_FILE}.new"
        new.write_text(repr(self.epoch), "utf-8")
        new.replace(self.folder / EPOCH_FILE)

    def jump(self, seconds: float) -> None:
        """Advance all clocks, which takes effect within a real second."""
        self.epoch += seconds
        self._note_epoch()
        for file in self.folder.glob("*.time"):
            ahead, rate = file.read_text("utf-8").split()
            new = file.with_suffix(".new")
            new.write_text(f"+{float(ahead) + seconds:.3f} {rate}\n", "utf-8")
            new.replace(file)
