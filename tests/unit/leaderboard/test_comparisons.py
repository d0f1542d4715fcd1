"""The standard of a category of models: its best evaluations and its median scores."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from statistics import median

import pytest
from hypothesis import given
from hypothesis import strategies as st

from leaderboard.comparisons import CategoryStandard, best_of, category_standard


@dataclass(frozen=True)
class One:
    """An evaluation."""

    model: str
    average: float | None
    benchmarks: Mapping[str, float] = field(default_factory=dict)


A, B, C = One("ada/a", 50.0, {"x": 10.0, "y": 90.0}), One("bob/b", 40.0, {"x": 80.0}), One("cy/c", 30.0, {"x": 20.0})
SAME = One("ADA/A", 45.0, {"x": 99.0})


@pytest.mark.parametrize(
    ("among", "best", "models", "average", "benchmarks"),
    [
        ((), (), 0, None, {}),
        ((One("none", None),), (), 0, None, {}),
        ((A,), (A,), 1, 50.0, {"x": 10.0, "y": 90.0}),
        ((C, B, A), (A, B), 3, 40.0, {"x": 20.0, "y": 90.0}),
        ((SAME, A, B), (A, B), 2, 45.0, {"x": 45.0, "y": 90.0}),
    ],
)
def test_a_standard_counts_each_model_once(
    among: Sequence[One], best: Sequence[One], models: int, average: float | None, benchmarks: dict[str, float]
) -> None:
    """Each model counts with its best evaluation, whatever the case of its name; each benchmark has its own median."""
    assert category_standard(among) == CategoryStandard(tuple(best), models, average, benchmarks)


def test_the_best_but_one_is_another_model() -> None:
    """The best model is compared with the second best."""
    standard = category_standard((A, SAME, B, C))
    assert (standard.best_but("ada/A"), standard.best_but("cy/c")) == (B, A)
    assert category_standard((A,)).best_but("ada/a") is None


def test_the_best_evaluation_has_scores() -> None:
    """The best evaluation is the one with the highest average; without any average there is none."""
    assert best_of([One("ada/a", None), One("ada/a", 10.0), A]) == A
    assert best_of([One("ada/a", None)]) is None


SCORES = st.floats(0.0, 100.0)
ONES = st.builds(
    One, st.sampled_from([f"org/m{n}" for n in range(9)]), SCORES, st.dictionaries(st.sampled_from("xyz"), SCORES)
)


@given(st.lists(ONES, max_size=30), st.randoms())
def test_order_does_not_matter_and_the_middle_lies_between(among: list[One], chance: object) -> None:
    """The order of evaluations does not change the standard; its average is the median of the models' best averages."""
    standard = category_standard(among)
    mixed = list(among)
    chance.shuffle(mixed)  # type: ignore[attr-defined]
    assert category_standard(mixed) == standard
    if among:
        best = {
            name: max(evaluation.average or 0 for evaluation in among if evaluation.model == name)
            for name in {m.model for m in among}
        }
        assert standard.models == len(best)
        assert standard.average == median(best.values())
        assert standard.best[0].average == max(best.values())
