"""The clock that every process reads.

`STEWARD_CLOCK=epoch,rate` starts it at `epoch` (seconds) when the setting is first read and lets it run at `rate`
times real time, so that a month can be played in minutes. All processes of one simulation must agree on when the
clock started, hence the optional third part: `epoch,rate,started`, the real time at which it showed `epoch`.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable

from leaderboard.times import write_time

Clock = Callable[[], float]
"""Returns seconds since the epoch."""


class BadClockSetting(ValueError):
    """`STEWARD_CLOCK` is not `epoch,rate` or `epoch,rate,started`."""


def clock_from(setting: str | None) -> Clock:
    """The clock that `setting` describes; the real one where it is empty."""
    if not setting:
        return time.time
    try:
        epoch, rate, *rest = (float(part) for part in setting.split(","))
        (started,) = rest or [time.time()]
    except ValueError as error:
        raise BadClockSetting(f"STEWARD_CLOCK should read epoch,rate[,started]; it is {setting!r}") from error
    return lambda: epoch + (time.time() - started) * rate


_clock = clock_from(os.environ.get("STEWARD_CLOCK"))


def now() -> float:
    """Seconds since the epoch, by the clock of this process."""
    return _clock()


def iso(seconds: float) -> str:
    """`2026-11-24T12:00:00Z`: how request files and people are told a time."""
    return write_time(seconds)
