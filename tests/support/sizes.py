"""Whether tests run in full (`make chaos`, `make matrices`) or in the sizes of `make test`."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from typing import TypeVar

T = TypeVar("T")
WHOLE = bool(os.environ.get("STEWARD_WHOLE_MATRIX"))


def sample(cases: Iterable[T], *facets: Callable[[T], object]) -> list[T]:
    """All cases where tests run in full; else each case in which a facet has a value that it had in none before."""
    seen = set[object]()
    chosen = list[T]()
    for case in cases:
        values = {(number, facet(case)) for number, facet in enumerate(facets)}
        if WHOLE or not values <= seen:
            chosen.append(case)
        seen |= values
    return chosen
