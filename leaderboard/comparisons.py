"""A model's scores beside those of the model that it was made from, and of its category: the best, and the middle."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import median
from typing import Protocol


class ComparableEvaluation(Protocol):
    """One evaluation: scores are 0-100, `benchmarks` by name; only those of the same `suite` can be compared."""

    @property
    def model(self) -> str:
        """Whose it is."""

    @property
    def suite(self) -> str:
        """Digest of the suite."""

    @property
    def average(self) -> float | None:
        """The mean of its scores."""

    @property
    def benchmarks(self) -> Mapping[str, float]:
        """Benchmark → score."""


@dataclass(frozen=True)
class CategoryStandard:
    """What models of one category reach: the two best of different names, and the middle of all, one row for each."""

    best: tuple[ComparableEvaluation, ...] = ()
    models: int = 0
    average: float | None = None
    benchmarks: Mapping[str, float] = field(default_factory=dict, hash=False)

    def best_but(self, model: str) -> ComparableEvaluation | None:
        """The best one that is not `model`."""
        return next((one for one in self.best if one.model.casefold() != model.casefold()), None)


def category_standard(evaluated: Iterable[ComparableEvaluation]) -> CategoryStandard:
    """What these reach, all of one category and suite; of a model with several evaluations its best one counts."""
    best: dict[str, ComparableEvaluation] = {}
    for one in evaluated:
        if one.average is not None:
            name = one.model.casefold()
            if name not in best or _is_better(one, best[name]):
                best[name] = one
    if not best:
        return CategoryStandard()
    averages = sorted(one.average for one in best.values() if one.average is not None)
    first = [one for one in best.values() if one.average is not None and one.average >= averages[-2:][0]]
    scores: dict[str, list[float]] = {}
    for one in best.values():
        for name, score in one.benchmarks.items():
            scores.setdefault(name, []).append(score)
    middles = {name: median(found) for name, found in scores.items()}
    return CategoryStandard(tuple(sorted(first, key=_rank)[:2]), len(best), median(averages), middles)


def best_of(evaluated: Sequence[ComparableEvaluation], suite: str | None = None) -> ComparableEvaluation | None:
    """The best of a model's evaluations, by one suite where that is said; None where there is none."""
    with_scores = (one for one in evaluated if one.average is not None and suite in (None, one.suite))
    return min(with_scores, key=_rank, default=None)


def _is_better(one: ComparableEvaluation, other: ComparableEvaluation) -> bool:
    """Whether it ranks before the other; that takes no ranks but where their averages are the same."""
    mine, theirs = one.average or 0.0, other.average or 0.0
    return mine > theirs or (mine == theirs and _rank(one) < _rank(other))


def _rank(one: ComparableEvaluation) -> tuple[float, str, tuple[tuple[str, float], ...]]:
    return (-(one.average or 0.0), one.model.casefold(), tuple(sorted(one.benchmarks.items())))
