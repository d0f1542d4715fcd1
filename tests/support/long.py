"""Marks for what `make test` leaves out: `make long` or `make chaos` runs it.

A test is marked with `@pytest.mark.long("reason")`, one case of a parametrized test with `marks=` of `pytest.param`.
The function here does that for many cases. The reason says what a test costs, or why the kept cases suffice.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from typing import Any

import pytest


def long_except(
    kept: Collection[str], cases: Iterable[Any], reason: str, name: Callable[[Any], str] = str
) -> list[Any]:
    """Return all cases as parameters, with their names as ids: `make test` runs those named in `kept`.

    A case that is a tuple holds the values of several parameters. A name in `kept` that no case has raises an error, so
    that a renamed case does not leave `make test` unnoticed.
    """
    named = {name(case): case for case in cases}
    if missing := set(kept) - named.keys():
        raise ValueError(f"no case has the name {', '.join(sorted(missing))}")
    return [
        pytest.param(
            *(case if isinstance(case, tuple) else (case,)),
            id=title,
            marks=() if title in kept else pytest.mark.long(reason),
        )
        for title, case in named.items()
    ]
