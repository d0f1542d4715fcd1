"""Run `make test` on other days, under Debian's libfaketime: `python -m tests.support.any_day [DAY] [ARGS of pytest]`.

All programs that the tests start see another wall clock, except Chromium. Monotonic time stays real, and so do the
times of files that the kernel writes. A worker's zygote and its children start without libfaketime, and see the real
day.
"""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

BEFORE = timedelta(minutes=4)
"""How long before New Year, or a change to summer time, the tests start; `make test` takes longer."""
ZONE = ZoneInfo("America/New_York")
"""The zone in which the tests run across a change to summer time."""


def days(now: datetime) -> dict[str, datetime]:
    """The days by name, each with the time in UTC at which its tests start."""
    leap_year = next(year for year in range(now.year + 1, now.year + 9) if year % 4 == 0 and year % 100)
    hours = (now.replace(minute=0, second=0, microsecond=0) + timedelta(hours=number) for number in range(2, 9_000))
    change = next(hour for hour in hours if _offset(hour) > _offset(hour - timedelta(hours=1)))
    return {
        "tomorrow": now + timedelta(days=1),
        "8-days": now + timedelta(days=8),
        "400-days": now + timedelta(days=400),
        "leap-day": datetime(leap_year, 2, 29, 12, tzinfo=UTC),
        "new-year": datetime(now.year + 1, 1, 1, tzinfo=UTC) - BEFORE,
        "summer-time": change - BEFORE,
    }


def _offset(moment: datetime) -> timedelta:
    return moment.astimezone(ZONE).utcoffset() or timedelta()


def settings(ahead: timedelta) -> dict[str, str]:
    """The environment variables with which a program's clock is `ahead`. Raises FileNotFoundError."""
    libraries = sorted(Path("/usr/lib").glob("*/faketime/libfaketime.so.1"))
    if not libraries:
        raise FileNotFoundError("There is no libfaketime on this machine: install Debian's package `faketime`.")
    return {
        "LD_PRELOAD": str(libraries[0]),
        "FAKETIME": f"{round(ahead.total_seconds()):+}s",
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        "FAKETIME_DISABLE_SHM": "1",  # killed processes would leave files in /dev/shm
        "NO_FAKE_STAT": "1",  # it would change the times of files for programs in C, and not for Python
    }


def main(chosen: str = "", *arguments: str) -> int:
    """Run the tests on each day, or on the `chosen` one, print a line for each, and return the exit status."""
    names = list(days(datetime.now(UTC)))
    if chosen and chosen not in names:
        print(f"There is no day {chosen!r}. The days are: {', '.join(names)}.", file=sys.stderr)
        return 2
    lines, status = list[str](), 0
    for day in [chosen] if chosen else names:
        began, now = time.monotonic(), datetime.now(UTC)
        start = days(now)[day]
        environment = os.environ | settings(start - now) | ({"TZ": ZONE.key} if day == "summer-time" else {})
        command = [
            os.environ.get("MAKE", "make"),
            "test",
            f"ARGS=-m 'not long and not real_time' {shlex.join(arguments)}",
        ]
        failed = subprocess.run(command, env=environment).returncode != 0
        status |= failed
        minutes = (time.monotonic() - began) / 60
        lines.append(f"{day}, from {start:%Y-%m-%d %H:%M} UTC: {'FAILED' if failed else 'passed'} in {minutes:.0f} min")
        print(lines[-1], flush=True)
    print("", *lines, sep="\n")
    return status


if __name__ == "__main__":
    try:
        sys.exit(main(*sys.argv[1:]))
    except FileNotFoundError as error:
        sys.exit(str(error))
