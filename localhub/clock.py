"""The Hub's clock: real time, or simulated time at another speed.

`STEWARD_CLOCK=epoch,rate[,started]`: the clock showed `epoch` (seconds) at the real time `started` (default: when the
clock is made) and runs at `rate` times real time.
"""

from __future__ import annotations

import os
import time
from datetime import UTC, datetime

from localhub.errors import ClockSettingError


class Clock:
    """A clock that can run at another speed and be moved forward."""

    def __init__(self, setting: str | None = None) -> None:
        self._epoch, self._rate, self._started = _parse(setting)
        self._offset = 0.0

    @classmethod
    def from_environment(cls) -> Clock:
        """The clock that `STEWARD_CLOCK` describes."""
        return cls(os.environ.get("STEWARD_CLOCK"))

    def seconds(self) -> float:
        """Seconds since the epoch, as this clock shows them."""
        return self._epoch + (time.time() - self._started) * self._rate + self._offset

    def now(self) -> datetime:
        """The time shown, in UTC."""
        return datetime.fromtimestamp(self.seconds(), UTC)

    def advance(self, seconds: float) -> None:
        """Move the clock forward, in this process only."""
        self._offset += seconds


def iso(moment: datetime) -> str:
    """`2026-11-24T12:00:00.000Z`, the only form of time in the Hub's API."""
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
