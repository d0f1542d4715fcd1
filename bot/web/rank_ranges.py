"""The range of ranks that each evaluation may have, given the errors that the choice of questions causes."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bot.web.request_row import RequestRow
from bot.web.row_columns import Numbers, Order, numbers_of
from bot.web.selection import Selected, Selection
from leaderboard.ranks import RankedScores, vectors_of

MAX_PAIRED = 8_000
"""Most evaluations whose ranges of ranks compare models question by question: a vector takes two kilobytes a row."""


class RankRanges:
    """The ranges of ranks of one snapshot's evaluations.

    `average` has their averages over all benchmarks. `groups` returns a number for every row: rows with the same number
    are comparable.
    """

    def __init__(
        self, lines: Sequence[RequestRow], benchmarks: Sequence[str], average: Numbers, groups: Callable[[], Order]
    ) -> None:
        self._lines, self._benchmarks, self._average, self._groups = lines, benchmarks, average, groups
        self._errors_by_name: dict[str, NDArray[Any]] = {}

    @cached_property
    def has_errors(self) -> bool:
        """Whether the standard error of any average is known."""
        return bool((~np.isnan(self._errors("average"))).any())

    @property
    def is_paired(self) -> bool:
        """Whether ranges of ranks compare models question by question, as far as they have influence vectors."""
        return len(self._lines) <= MAX_PAIRED

    def ranges(self, selected: Selected, rows: Sequence[int]) -> Mapping[int, tuple[int, int]]:
        """The ranges of ranks of `rows` among the selected evaluations that are comparable with them.

        A row that is not selected, or has no standard error, has no range; neither have averages of raw scores.
        Computed ranges are cached in `selected`.
        """
        if selected.selection.raw or not self.has_errors:
            return {}
        errors, groups = self._errors_of(selected.selection), self._groups()
        new = [at for at in rows if selected.ranks[at] and at not in selected.ranges and not math.isnan(errors[at])]
        if new:
            scores = self._scores_of(selected, errors)
            for group in {int(groups[at]) for at in new}:
                among = selected.best_first[groups[selected.best_first] == group]
                part = np.array([at for at in new if groups[at] == group], np.int32)
                selected.ranges.update(zip(part.tolist(), scores.ranges(part, among), strict=True))
        return selected.ranges

    def _scores_of(self, selected: Selected, errors: Numbers) -> RankedScores:
        if selected.averages is self._average:
            return self._whole_scores
        return RankedScores(selected.averages.astype(np.float32), errors.astype(np.float32))

    @cached_property
    def _whole_scores(self) -> RankedScores:
        """The averages over all benchmarks, with their errors and vectors."""
        vectors = vectors_of([line.ranked for line in self._lines]) if self.is_paired else None
        return RankedScores(self._average.astype(np.float32), self._errors("average"), vectors)

    def _errors_of(self, selection: Selection) -> Numbers:
        """The standard errors of the averages of the selected benchmarks."""
        wanted = [name for name in self._benchmarks if name in selection.benchmarks]
        if not wanted or len(wanted) == len(self._benchmarks):
            return self._errors("average")
        parts = [self._errors(name) for name in wanted]
        errors: Numbers = np.sqrt(np.sum(np.square(parts), axis=0)) / len(parts)
        return errors

    def _errors(self, name: str) -> NDArray[Any]:
        """The standard errors of a benchmark, or of the `average`."""
        if name not in self._errors_by_name:
            errors = numbers_of(self._lines, lambda line: line.errors.get(name))
            self._errors_by_name[name] = errors.astype(np.float32)
        return self._errors_by_name[name]
