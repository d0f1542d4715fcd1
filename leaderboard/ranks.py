"""Rank ranges: the ranks that a model can have, as far as the questions distinguish its average from the others'.

A model's range starts at 1 + the number of models that are significantly better, and ends at the number of all models
less those that are significantly worse. Each difference is tested by its own standard error: that of the paired
difference where both models answered the same questions (`leaderboard.uncertainty`). Holm's correction over the
differences of one model keeps the chance that its range misses its true rank at five percent.

Rows that are too far away to be anything but significant are not compared one by one: their difference is larger than
the sum of both errors times the largest limit.

A row without a standard error has one rank, and counts in comparisons as if its error were the other model's. Only rows
of the same suite are compared.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from statistics import NormalDist
from typing import NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from leaderboard.influences import average_vector, benchmark_vector
from leaderboard.steward_block import INFLUENCE_LENGTH

Floats: TypeAlias = NDArray[np.float32]
Rows: TypeAlias = NDArray[np.int32]
PAIRED_ROWS, ROWS = 128, 4
"""Rows that are compared with others at a time: with vectors, which a matrix product compares; and without."""


class RankedScore(NamedTuple):
    """The average of one row (0-100), its standard error, its influence vector in base64, and its suite's digest."""

    average: float
    error: float | None = None
    influence: str = ""
    suite: str = ""


def rank_ranges(rows: Sequence[RankedScore], *, level: float = 0.05) -> list[tuple[int, int]]:
    """Return the best and the worst rank of each row, among the rows of its suite."""
    ranges = [(1, 1)] * len(rows)
    by_suite: dict[str, list[int]] = {}
    for number, row in enumerate(rows):
        by_suite.setdefault(row.suite, []).append(number)
    for numbers in by_suite.values():
        scores = RankedScores.of([rows[number] for number in numbers])
        falling = np.argsort(-scores.averages, kind="stable").astype(np.int32)
        of_suite = scores.ranges(np.arange(len(numbers), dtype=np.int32), falling, level)
        for number, best_and_worst in zip(numbers, of_suite, strict=True):
            ranges[number] = best_and_worst
    return ranges


def benchmark_difference_error(errors: tuple[float, float], influences: tuple[str, str]) -> float:
    """Return the standard error of the difference of two scores of a benchmark with these standard errors and influence
    vectors. If one has no vector (""), the scores count as independent."""
    if not all(influences):
        return math.hypot(*errors)
    first, second = map(benchmark_vector, influences)
    vectors = zip(errors, (first, second), strict=True)
    excess = (max(0.0, error**2 - float(vector @ vector)) for error, vector in vectors)
    return math.sqrt(float(np.square(first - second).sum()) + sum(excess))


def difference_error(first: RankedScore, second: RankedScore) -> float | None:
    """The standard error of the difference of two averages; None if one of them has no error."""
    if first.error is None or second.error is None:
        return None
    rows = np.arange(2, dtype=np.int32).reshape(2, 1)
    return float(RankedScores.of([first, second]).difference_errors(*rows)[0, 0])


class RankedScores:
    """The averages of rows of one suite, their standard errors (NaN: unknown), and their influence vectors (zeros where
    a row has none). Without `vectors`, all rows are compared as if they had answered different questions."""

    def __init__(self, averages: Floats, errors: Floats, vectors: Floats | None = None) -> None:
        self.averages, self._errors, self._vectors = averages, errors, vectors
        squares = np.zeros_like(errors) if vectors is None else np.einsum("ij,ij->i", vectors, vectors)
        self._squares = squares
        self._excess = np.maximum(errors**2 - squares, 0)
        """The variance that the vectors do not explain; it counts as independent."""

    @classmethod
    def of(cls, rows: Sequence[RankedScore]) -> RankedScores:
        """The scores of `rows`."""
        averages = np.array([row.average for row in rows], np.float32)
        errors = np.array([math.nan if row.error is None else row.error for row in rows], np.float32)
        return cls(averages, errors, vectors_of(rows))

    def ranges(self, part: Rows, among: Rows, level: float = 0.05) -> list[tuple[int, int]]:
        """The best and the worst rank of each row in `part` among the rows `among`, which hold them and are sorted by
        falling average."""
        size, ranges = PAIRED_ROWS if self._vectors is not None else ROWS, dict[int, tuple[int, int]]()
        falling, known = -self.averages[among], part[~np.isnan(self._errors[part])]
        for at in part[np.isnan(self._errors[part])].tolist():
            rank = 1 + int(np.searchsorted(falling, -self.averages[at]))
            ranges[at] = (rank, rank)
        largest = float(np.nanmax(self._errors[among], initial=0.0))
        nearby = known[np.argsort(-self.averages[known], kind="stable")]
        for start in range(0, len(nearby), size):
            rows = nearby[start : start + size]
            ranges |= zip(rows.tolist(), self._ranges(rows, among, falling, largest, level), strict=True)
        return [ranges[at] for at in part.tolist()]

    def _ranges(
        self, part: Rows, among: Rows, falling: Floats, largest: float, level: float
    ) -> Iterator[tuple[int, int]]:
        """Like `ranges`, for rows with errors; `falling` are the negative averages, `largest` is the largest error."""
        averages, errors, rivals = self.averages[part], self._errors[part], len(among) - 1
        width = _limit(rivals, level) * (errors + np.maximum(errors, largest)) * 1.001
        start = int(np.searchsorted(falling, -(averages + width).max(), side="left"))
        stop = int(np.searchsorted(falling, -(averages - width).min(), side="right"))
        near = among[start:stop]
        differences = averages[:, None] - self.averages[near][None, :]
        with np.errstate(divide="ignore", invalid="ignore"):
            ratios = np.abs(differences) / self.difference_errors(part, near)
        ratios[differences == 0] = 0
        significant = _significant(ratios, rivals - (len(among) - len(near)), level)
        best = 1 + start + (significant & (differences < 0)).sum(axis=1)
        worst = stop - (significant & (differences > 0)).sum(axis=1)
        return zip(best.tolist(), worst.tolist(), strict=True)

    def difference_errors(self, part: Rows, near: Rows) -> Floats:
        """The standard errors of the differences between the rows in `part` and those in `near`."""
        own, errors = self._errors[part].reshape(-1, 1) ** 2, self._errors[near].reshape(1, -1)
        if self._vectors is None:
            return np.sqrt(own + np.where(np.isnan(errors), own, errors**2))
        own_vectors, numbers = self._vectors[part.ravel()], near.ravel()
        if 4 * len(numbers) < len(self._vectors):
            shared = own_vectors @ self._vectors[numbers].T
        else:  # copies of most vectors would take longer than their products
            shared = (own_vectors @ self._vectors.T)[:, numbers]
        distances = self._squares[part].reshape(-1, 1) + self._squares[near].reshape(1, -1) - 2 * shared
        other = np.where(np.isnan(errors), own, self._excess[near].reshape(1, -1))
        variances: Floats = np.maximum(distances, 0) + self._excess[part].reshape(-1, 1) + other
        return np.sqrt(variances)


def vectors_of(rows: Sequence[RankedScore]) -> Floats | None:
    """Return the influence vectors of `rows`, zeros for a row without one; None if no row has one."""
    if not any(row.influence for row in rows):
        return None
    vectors = np.zeros((len(rows), INFLUENCE_LENGTH), np.float32)
    for number, row in enumerate(rows):
        if row.influence and row.error is not None:
            vectors[number] = average_vector(row.influence)
    return vectors


def _limit(left: int, level: float) -> float:
    """The number of standard errors that the largest of `left` differences must exceed."""
    return -NormalDist().inv_cdf(level / 2 / max(1, left))


def _significant(ratios: Floats, rivals: int, level: float) -> NDArray[np.bool_]:
    """Which ratios of each row are significant by Holm's procedure, as differences from `rivals` other rows.

    The more differences are significant, the lower is the limit of the others; the search ends where that adds none.
    """
    counts = np.zeros(len(ratios), int)
    while True:
        limits = np.array([_limit(rivals - count, level) for count in counts.tolist()], np.float32)
        significant: NDArray[np.bool_] = ratios > limits[:, None]
        extended = significant.sum(axis=1)
        if (extended == counts).all():
            return significant
        counts = extended
