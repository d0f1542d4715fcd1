"""Comparison of a model's scores with its base model and with its category: the best models and the median."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import median
from typing import Protocol


class ComparableEvaluation(Protocol):
    """One evaluation: scores are 0-100, `benchmarks` by name. Callers pass only evaluations that can be compared."""

    @property
    def model(self) -> str:
        """The id of the model."""

    @property
    def average(self) -> float | None:
        """The mean of its scores."""

    @property
    def benchmarks(self) -> Mapping[str, float]:
        """Benchmark → score."""


@dataclass(frozen=True)
class CategoryStandard:
    """The scores of one category: the two best models, and the medians over all models, one evaluation per model."""

    best: tuple[ComparableEvaluation, ...] = ()
    models: int = 0
    average: float | None = None
    benchmarks: Mapping[str, float] = field(default_factory=dict, hash=False)

    def best_but(self, model: str) -> ComparableEvaluation | None:
        """Return the best evaluation of another model than `model`."""
        return next((best for best in self.best if best.model.casefold() != model.casefold()), None)


def category_standard(evaluated: Iterable[ComparableEvaluation]) -> CategoryStandard:
    """Return the standard of these evaluations of one category; the best evaluation of each model counts."""
    best: dict[str, ComparableEvaluation] = {}
    for evaluation in evaluated:
        if evaluation.average is not None:
            name = evaluation.model.casefold()
            if name not in best or _is_better(evaluation, best[name]):
                best[name] = evaluation
    if not best:
        return CategoryStandard()
    averages = sorted(evaluation.average for evaluation in best.values() if evaluation.average is not None)
    leaders = [
        evaluation
        for evaluation in best.values()
        if evaluation.average is not None and evaluation.average >= averages[-2:][0]
    ]
    scores: dict[str, list[float]] = {}
    for evaluation in best.values():
        for name, score in evaluation.benchmarks.items():
            scores.setdefault(name, []).append(score)
    middles = {name: median(values) for name, values in scores.items()}
    return CategoryStandard(tuple(sorted(leaders, key=_rank)[:2]), len(best), median(averages), middles)


def best_of(evaluated: Sequence[ComparableEvaluation]) -> ComparableEvaluation | None:
    """Return the best of a model's evaluations; None if there is none."""
    with_scores = (evaluation for evaluation in evaluated if evaluation.average is not None)
    return min(with_scores, key=_rank, default=None)


def _is_better(first: ComparableEvaluation, second: ComparableEvaluation) -> bool:
    """Whether `first` ranks before `second`; computes ranks only if the averages are equal."""
    average, other_average = first.average or 0.0, second.average or 0.0
    return average > other_average or (average == other_average and _rank(first) < _rank(second))


def _rank(evaluation: ComparableEvaluation) -> tuple[float, str, tuple[tuple[str, float], ...]]:
    return (-(evaluation.average or 0.0), evaluation.model.casefold(), tuple(sorted(evaluation.benchmarks.items())))
