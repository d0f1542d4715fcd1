"""Rank ranges: significance, ties, pairs, rows without samples, and the time that they take."""

from __future__ import annotations

import math
import time
from base64 import b64encode
from statistics import NormalDist

import numpy as np
import pytest

from leaderboard.ranks import RankedScore, difference_error, rank_ranges
from leaderboard.steward_block import INFLUENCE_LENGTH

RANDOM = np.random.default_rng(3)
VECTOR = RANDOM.normal(size=INFLUENCE_LENGTH)


def vector(numbers: np.ndarray, error: float) -> str:
    """Return an influence vector in the direction of `numbers` with the length `error`."""
    return b64encode((numbers / np.linalg.norm(numbers) * error).astype("<f2").tobytes()).decode()


def row(average: float, error: float | None = 1.0, **more: str) -> RankedScore:
    """A row of the suite."""
    return RankedScore(average, error, **more)


def holm(rows: list[RankedScore], number: int) -> tuple[int, int]:
    """Return the range of one row by Holm's procedure, computed difference by difference."""
    own, remaining = rows[number], len(rows) - 1
    others = [other for each, other in enumerate(rows) if each != number]
    ratios = [(abs(own.average - o.average) / math.hypot(own.error or 0, o.error or 0), o) for o in others]
    better = worse = 0
    for ratio, other in sorted(ratios, key=lambda pair: -pair[0]):
        if 2 * NormalDist().cdf(-ratio) >= 0.05 / remaining:
            break
        better, worse, remaining = (
            better + (other.average > own.average),
            worse + (other.average < own.average),
            remaining - 1,
        )
    return 1 + better, len(rows) - worse


def test_a_range_leaves_out_models_that_are_significantly_better_or_worse() -> None:
    """A difference of 7 standard errors is significant; one of 2.1 is in a single comparison, but not among five."""
    assert rank_ranges([row(50), row(40), row(38), row(20)]) == [(1, 1), (2, 3), (2, 3), (4, 4)]
    assert rank_ranges([row(40), row(37)]) == [(1, 1), (2, 2)]
    assert rank_ranges([row(40), *[row(37)] * 5])[0] == (1, 6)


def test_ranges_are_those_of_holms_procedure() -> None:
    """The vectorised computation equals the procedure, difference by difference."""
    rows = [row(float(average), float(error)) for average, error in RANDOM.uniform((20, 0.3), (40, 1.5), (60, 2))]
    assert rank_ranges(rows) == [holm(rows, number) for number in range(60)]


def test_the_same_answers_tie() -> None:
    """Rows with the same average have the same range, with any standard errors."""
    twins = row(40.0, influence=vector(VECTOR, 1.0))
    ranges = rank_ranges([row(45.0, 0.5), twins, row(39.0, 0.5), twins, row(10.0)])
    assert ranges[1] == ranges[3] == (2, 4)


def test_paired_differences_separate_what_single_errors_do_not() -> None:
    """Two models that differ on few questions are told apart although their own intervals overlap."""
    first = row(40.0, influence=vector(VECTOR, 1.0))
    second = row(39.0, influence=vector(VECTOR + 0.1 * RANDOM.normal(size=INFLUENCE_LENGTH), 1.0))
    error = difference_error(first, second)
    assert error == pytest.approx(0.1, rel=0.1)
    assert rank_ranges([first, second]) == [(1, 1), (2, 2)]
    assert rank_ranges([row(40.0), row(39.0)]) == [(1, 2), (1, 2)]
    assert difference_error(first, row(39.0)) == pytest.approx(math.sqrt(2), rel=1e-3), "one has no vector: unpaired"
    assert difference_error(first, row(39.0, None)) is None


def test_a_row_without_samples_has_one_rank() -> None:
    """A row without a standard error has a single rank; other rows are compared with it as if it had their error."""
    ranges = rank_ranges([row(50.0, None), row(49.0), row(40.0, None), row(40.0, None), row(30.0)])
    assert ranges == [(1, 1), (1, 2), (3, 3), (3, 3), (5, 5)]
    assert rank_ranges([row(50.0, None)]) == [(1, 1)]


def test_rows_of_another_suite_are_no_rivals() -> None:
    """Ranks count rows of the same suite alone."""
    assert rank_ranges([row(50, suite="a"), row(10, suite="b"), row(20, suite="a"), row(90, None, suite="b")]) == [
        (1, 1),
        (2, 2),
        (2, 2),
        (1, 1),
    ]
    assert rank_ranges([]) == []


def test_five_thousand_models_take_seconds() -> None:
    """All pairs of 5,000 models with vectors are compared within a generous limit; usually it takes two seconds."""
    common = RANDOM.normal(size=INFLUENCE_LENGTH)
    rows = [
        row(float(average), 0.5, influence=vector(common + RANDOM.normal(size=INFLUENCE_LENGTH), 0.5))
        for average in RANDOM.uniform(5, 45, 5_000)
    ]
    start = time.process_time()
    ranges = rank_ranges(rows)
    assert time.process_time() - start < 60
    assert all(best <= worst for best, worst in ranges)
    print(f"{time.process_time() - start:.1f} s")
