"""A model's scores beside those of the model that it was made from, and of its category: the best, and the middle."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import median
from typing import Protocol


class Evaluated(Protocol):
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
class Standard:
    """What models of one category reach: the two best of different names, and the middle of all, one row for each."""

    best: tuple[Evaluated, ...] = ()
    models: int = 0
    average: float | None = None
    benchmarks: Mapping[str, float] = field(default_factory=dict, hash=False)

    def best_but(self, model: str) -> Evaluated | None:
        """The best one that is not `model`."""
        return next((one for one in self.best if one.model.casefold() != model.casefold()), None)


def standard(evaluated: Iterable[Evaluated]) -> Standard:
    """What these reach, all of one category and suite; of a model with several evaluations its best one counts."""
    best: dict[str, Evaluated] = {}
    for one in evaluated:
        name = one.model.casefold()
        if one.average is not None and (name not in best or _rank(one) < _rank(best[name])):
            best[name] = one
    if not best:
        return Standard()
    every = sorted(best.values(), key=_rank)
    scores: dict[str, list[float]] = {}
    for one in every:
        for name, score in one.benchmarks.items():
            scores.setdefault(name, []).append(score)
    middle = median(one.average for one in every if one.average is not None)
    return Standard(tuple(every[:2]), len(every), middle, {name: median(found) for name, found in scores.items()})


def best_of(evaluated: Sequence[Evaluated], suite: str | None = None) -> Evaluated | None:
    """The best of a model's evaluations, by one suite where that is said; None where there is none."""
    with_scores = (one for one in evaluated if one.average is not None and suite in (None, one.suite))
    return min(with_scores, key=_rank, default=None)


def _rank(one: Evaluated) -> tuple[float, str, tuple[tuple[str, float], ...]]:
    return (-(one.average or 0.0), one.model.casefold(), tuple(sorted(one.benchmarks.items())))
