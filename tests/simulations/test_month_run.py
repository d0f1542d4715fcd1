"""One day of `simulations.month` at a thirtieth of its size: all of Steward in processes whose clocks run fast."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

import pytest

from simulations.month.accelerated_clock import NoLibrary, find_library
from simulations.month.run import play
from simulations.month.schedule import Scale, write

SMALL = Scale(0.06, 1, 0.2, tenths=(10, 30))

pytestmark = [
    pytest.mark.long("runs all of Steward through a simulated day"),
    pytest.mark.timeout(900),
]


def test_a_played_day_ends_without_a_finding() -> None:
    """After a day of submissions, reports and questions the checks of the simulation find nothing wrong."""
    try:
        find_library()
    except NoLibrary as error:
        pytest.skip(str(error))
    with tempfile.TemporaryDirectory(prefix="steward-day-") as name:
        folder = Path(name)
        folder.chmod(0o755)  # the sandboxed child is another user
        script = write(1, SMALL)
        report = play(script, folder, speed=6, workers=2)
    assert script.submissions
    assert report["findings"] == {}, json.dumps(report["findings"], indent=1)
