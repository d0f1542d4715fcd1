"""The time that the Hub shows: real, or played at another speed.

`STEWARD_CLOCK=epoch,rate[,started]`: the clock showed `epoch` (seconds) at the real time `started` (by default when it
was first read) and runs at `rate` times real time.
"""

from __future__ import annotations

import os
import time
from datetime import UTC, datetime
from typing import Protocol

from localhub.errors import ClockSettingError


class Clock:
    """A clock that can be played fast and moved forward by hand."""

    def __init__(self, setting: str | None = None) -> None:
        self._epoch, self._rate, self._started = _parse(setting)
        self._offset = 0.0

    @classmethod
    def from_environment(cls) -> Clock:
        """The clock of `STEWARD_CLOCK`."""
        return cls(os.environ.get("STEWARD_CLOCK"))

    def seconds(self) -> float:
        """Seconds since the epoch, as this clock shows them."""
        return self._epoch + (time.time() - self._started) * self._rate + self._offset

    def now(self) -> datetime:
        """The time shown, in UTC."""
        return datetime.fromtimestamp(self.seconds(), UTC)

    def advance(self, seconds: float) -> None:
        """Moves the clock forward, for this process alone."""
        self._offset += seconds


class ClockOwner(Protocol):
    """Whatever carries a clock: the box."""

    @property
    def clock(self) -> Clock:
        """The clock."""


def now(state: ClockOwner) -> datetime:
    """The box's time, aware, in UTC."""
    return state.clock.now()


def iso(moment: datetime) -> str:
    """`2026-11-24T12:00:00.000Z`, the only form that the Hub's API knows."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.") + f"{moment.microsecond // 1000:03d}Z"


def _parse(setting: str | None) -> tuple[float, float, float]:
    real = time.time()
    if not setting:
        return real, 1.0, real
    try:
        epoch, rate, *rest = (float(part) for part in setting.split(","))
        (started,) = rest or [real]
    except ValueError as error:
        raise ClockSettingError(f"STEWARD_CLOCK should read epoch,rate[,started]; it is {setting!r}") from error
    return epoch, rate, started
