"""Rank ranges: the ranks that a model can have, as far as the questions tell its average from the others'.

A model's range starts at 1 + the number of models that are significantly better, and ends at the number of all models
less those that are significantly worse. Each difference is tested by its own standard error: that of the paired
difference where both models answered the same questions (`leaderboard.uncertainty`). Holm's correction over the
differences of one model keeps the chance that its range misses its true rank at five percent.

A row without a standard error has one rank, and counts in comparisons as if its error were the other model's. Only rows
of the same suite are compared.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import NormalDist
from typing import NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from leaderboard.influences import average_vector, benchmark_vector
from leaderboard.results import INFLUENCE_LENGTH

Floats: TypeAlias = NDArray[np.float32]
ROWS = 128
"""Rows that are compared with all others at a time, to bound memory."""


class RankedScore(NamedTuple):
    """The average of one row (0-100), its standard error, its influence vector in base64, and its suite's digest."""

    average: float
    error: float | None = None
    influence: str = ""
    suite: str = ""


def rank_ranges(rows: Sequence[RankedScore], *, level: float = 0.05) -> list[tuple[int, int]]:
    """The best and the worst rank of each row, among the rows of its suite."""
    ranges = [(1, 1)] * len(rows)
    by_suite: dict[str, list[int]] = {}
    for number, row in enumerate(rows):
        by_suite.setdefault(row.suite, []).append(number)
    for numbers in by_suite.values():
        found = _ranges([rows[number] for number in numbers], level)
        for number, best, worst in zip(numbers, *found, strict=True):
            ranges[number] = (best, worst)
    return ranges


def benchmark_difference_error(errors: tuple[float, float], influences: tuple[str, str]) -> float:
    """The standard error of the difference of two scores of a benchmark with these standard errors and influence
    vectors; as of independent scores, if one has no vector ("")."""
    if not all(influences):
        return math.hypot(*errors)
    one, other = map(benchmark_vector, influences)
    excess = (max(0.0, error**2 - float(vector @ vector)) for error, vector in zip(errors, (one, other), strict=True))
    return math.sqrt(float(np.square(one - other).sum()) + sum(excess))


def difference_error(one: RankedScore, other: RankedScore) -> float | None:
    """The standard error of the difference of two averages; None if one has no error."""
    if one.error is None or other.error is None:
        return None
    return float(_difference_errors(_Errors([one, other]), slice(0, 1))[0, 1])


class _Errors:
    """Standard errors and influence vectors of some rows; NaN and zeros where a row has none."""

    def __init__(self, rows: Sequence[RankedScore]) -> None:
        self.errors = np.array([np.nan if row.error is None else row.error for row in rows], np.float32)
        self.vectors = np.zeros((len(rows), INFLUENCE_LENGTH), np.float32)
        for number, row in enumerate(rows):
            if row.influence and row.error is not None:
                self.vectors[number] = average_vector(row.influence)
        self.squares = np.einsum("ij,ij->i", self.vectors, self.vectors)
        self.excess = np.maximum(self.errors**2 - self.squares, 0)
        """The variance that the vectors do not explain; it counts as independent."""


def _ranges(rows: Sequence[RankedScore], level: float) -> tuple[list[int], list[int]]:
    averages, errors = np.array([row.average for row in rows]), _Errors(rows)
    own = 1 + len(rows) - np.searchsorted(np.sort(averages), averages, side="right")
    best, worst = own.copy(), own.copy()
    limits = _holm_limits(len(rows) - 1, level)
    for start in range(0, len(rows), ROWS):
        part = slice(start, start + ROWS)
        differences = averages[part, None] - averages[None, :]
        with np.errstate(divide="ignore", invalid="ignore"):
            ratios = np.abs(differences) / _difference_errors(errors, part)
        ratios[differences == 0] = 0
        significant = _significant(ratios.astype(np.float32), limits)
        known = ~np.isnan(errors.errors[part])
        best[part][known] = 1 + (significant & (differences < 0)).sum(axis=1)[known]
        worst[part][known] = len(rows) - (significant & (differences > 0)).sum(axis=1)[known]
    return best.tolist(), worst.tolist()


def _difference_errors(errors: _Errors, part: slice) -> Floats:
    """The standard errors of the differences between the rows in `part` and all rows."""
    shared = errors.vectors[part] @ errors.vectors.T
    distances = errors.squares[part, None] + errors.squares[None, :] - 2 * shared
    other = np.where(np.isnan(errors.errors), errors.errors[part, None] ** 2, errors.excess)
    variances: Floats = np.maximum(distances, 0) + errors.excess[part, None] + other
    return np.sqrt(variances)


def _holm_limits(count: int, level: float) -> Floats:
    """The ratio that the largest, the second largest, … of `count` differences must exceed, in standard errors.

    The last limit is for a row's difference from itself.
    """
    normal = NormalDist()
    return np.array([*(-normal.inv_cdf(level / 2 / left) for left in range(count, 0, -1)), np.inf], np.float32)


def _significant(ratios: Floats, limits: Floats) -> NDArray[np.bool_]:
    """Which ratios of each row are significant: the largest ones, up to the first that does not exceed its limit."""
    largest = -np.sort(-ratios, axis=1)
    exceeds = np.logical_and.accumulate(largest > limits, axis=1)
    count = exceeds.sum(axis=1)
    smallest = np.where(count > 0, largest[np.arange(len(largest)), np.maximum(count, 1) - 1], np.inf)
    return ratios >= smallest[:, None]
