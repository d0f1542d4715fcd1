"""The days on which `make any-day` runs the tests."""

from __future__ import annotations

import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta

import pytest

from tests.support.any_day import BEFORE, days, settings


@pytest.mark.parametrize(
    ("now", "leap_day", "change"),
    [
        ("2026-12-03T12:30:00+00:00", "2028-02-29", "2027-03-14T07:00:00+00:00"),
        ("2028-02-29T23:59:59+00:00", "2032-02-29", "2028-03-12T07:00:00+00:00"),
        ("2099-12-31T23:50:00+00:00", "2104-02-29", "2100-03-14T07:00:00+00:00"),
    ],
)
def test_each_day_is_ahead(now: str, leap_day: str, change: str) -> None:
    """Each day is after the present, and tests start minutes before a new year or the change to summer time."""
    moment = datetime.fromisoformat(now)
    starts = days(moment)
    assert all(start > moment for start in starts.values())
    assert (starts["new-year"] + BEFORE).isoformat() == f"{moment.year + 1}-01-01T00:00:00+00:00"
    assert starts["leap-day"].date().isoformat() == leap_day
    assert starts["summer-time"] + BEFORE == datetime.fromisoformat(change)


def test_a_program_sees_another_day_and_waits_as_long_as_before() -> None:
    """Under libfaketime another day is shown, and monotonic time is real."""
    try:
        environment = settings(timedelta(days=400))
    except FileNotFoundError as error:
        pytest.skip(str(error))
    code = "import time; print(time.time(), time.monotonic())"
    shown = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    wall, monotonic = map(float, shown.stdout.split())
    real = float(subprocess.run(["date", "+%s"], env={}, capture_output=True, text=True, check=True).stdout)
    assert datetime.fromtimestamp(wall, UTC) - datetime.fromtimestamp(real, UTC) == pytest.approx(
        timedelta(days=400), abs=timedelta(minutes=1)
    )
    assert monotonic == pytest.approx(time.monotonic(), abs=60)
