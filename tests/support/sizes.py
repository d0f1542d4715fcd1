"""Whether tests run in full (`make chaos`, `make matrices`, `make engine`) or in the sizes of `make test`."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TypeVar

import pytest

T = TypeVar("T")
WHOLE = bool(os.environ.get("STEWARD_WHOLE_MATRIX"))
WHOLE_FILES = WHOLE or bool(os.environ.get("STEWARD_WHOLE_FILES"))
"""Whether the files that `one_in` marks run in full, as in `.ci/run`."""


def examples(count: int) -> int:
    """Return the number of examples that Hypothesis draws: `count` where tests run in full, else a third of it."""
    return count if WHOLE else count // 3


def first(count: int, cases: Iterable[T]) -> list[T]:
    """Return all cases where tests run in full, else the first `count` of them."""
    chosen = list(cases)
    return chosen if WHOLE else chosen[:count]


def every(step: int, cases: Iterable[T]) -> list[T]:
    """Return all cases where tests run in full, else every `step`th one, from the first."""
    return list(cases)[:: 1 if WHOLE else step]


def left_out(reason: str, target: str = "matrices") -> pytest.MarkDecorator:
    """Mark a test that `make test` leaves out for this reason, and that another target of the Makefile runs."""
    return pytest.mark.skipif(not WHOLE, reason=f"{reason}: `make {target}` runs it")


def one_in(step: int) -> pytest.MarkDecorator:
    """Mark a file, as its `pytestmark`: `make test` runs its first test and every `step`th one after it."""
    return pytest.mark.one_in(step)


def sampled(items: Iterable[pytest.Item]) -> list[pytest.Item]:
    """Return `items` without those that `one_in` leaves out of `make test`."""
    counts = Counter[Path]()
    chosen = list[pytest.Item]()
    for item in items:
        mark = item.get_closest_marker("one_in")
        if mark is None or counts[item.path] % mark.args[0] == 0:
            chosen.append(item)
        counts[item.path] += 1
    return chosen


def sample(cases: Iterable[T], *facets: Callable[[T], object]) -> list[T]:
    """Return all cases where tests run in full; else each case in which a facet has a value for the first time."""
    seen = set[object]()
    chosen = list[T]()
    for case in cases:
        values = {(number, facet(case)) for number, facet in enumerate(facets)}
        if WHOLE or not values <= seen:
            chosen.append(case)
        seen |= values
    return chosen
