"""The evaluator of embeddings: correlation of ranks."""

from __future__ import annotations

import pytest

CASES = {
    "the same order": ([1, 2, 3, 10], [0.1, 0.2, 0.3, 0.4], 1.0),
    "the opposite order": ([1, 2, 3], [3, 2, 1], 0.0),
    "one pair turned": ([1, 2, 3, 4], [1, 2, 4, 3], 0.8),
    "equal values share a rank": ([1, 2, 2, 3], [1, 2, 3, 4], 0.9486833),
    "no order": ([1, 1, 1], [1, 2, 3], 0.0),
}


@pytest.mark.parametrize(("one", "other", "expected"), CASES.values(), ids=CASES)
def test_spearman_is_the_correlation_of_ranks(one: list[float], other: list[float], expected: float) -> None:
    """Between 0 and 1, as a metric must be."""
    from workers.evaluators.embeddings import spearman

    assert spearman(one, other) == pytest.approx(expected)
