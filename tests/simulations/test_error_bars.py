"""Standard errors and rank ranges on a few simulated boards; `make errorbars` simulates two thousand."""

from __future__ import annotations

import pytest

from simulations.error_bars import figures
from simulations.simulated_boards import simulate

pytestmark = pytest.mark.long("simulates thirty boards")


@pytest.mark.timeout(600)
def test_intervals_and_rank_ranges_hold_the_truth() -> None:
    """Of 95 % intervals 93 to 97 % hold the true score, of rank ranges 95 % the rank; identical weights tie."""
    report = figures(simulate(30, seed=1))
    intervals = report["intervals that hold the true score, percent"]
    assert 93 <= intervals["all"] <= 97
    assert all(90 <= share <= 99 for share in intervals.values()), intervals
    assert report["rank ranges that hold the true rank, percent"]["all"] >= 95
    assert report["identical weights tie"]
    assert report["smallest standard error"] > 0
