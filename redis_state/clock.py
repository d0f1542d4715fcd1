"""The clock of all processes.

`STEWARD_CLOCK=epoch,rate` starts the clock at `epoch` (seconds) when the setting is first read, and runs it at `rate`
times real time, so that a simulation plays a month in minutes. All processes of one simulation must agree on when the
clock started: the optional third part, `epoch,rate,started`, is the real time at which it showed `epoch`.
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
    """The clock that `setting` describes; the real one if it is empty."""
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
    """The time as `2026-11-24T12:00:00Z`, for request files and people."""
    return write_time(seconds)
