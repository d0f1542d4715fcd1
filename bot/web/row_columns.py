"""The columns of the leaderboard's table, as arrays, and what is computed from them."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bot.web.request_row import RequestRow
from leaderboard.search import Value, fold

Mask = NDArray[np.bool_]
"""Whether each row is among those that a filter shows."""
Numbers = NDArray[np.float64]
"""A number for each row; NaN where it has none."""
Order = NDArray[np.int32]
"""Numbers of rows, in order."""


class Facet:
    """One text column: the distinct values, and the number of each row's value."""

    def __init__(self, values: Sequence[str]) -> None:
        numbers: dict[str, int] = {}
        self.codes = np.fromiter((numbers.setdefault(value, len(numbers)) for value in values), np.int32, len(values))
        self.values = list(numbers)

    def among(self, wanted: Sequence[str]) -> Mask:
        """The rows whose value is one of `wanted`."""
        return self.where(lambda value: value in wanted)

    def where(self, fits: Callable[[str], bool]) -> Mask:
        """The rows whose value fits; each distinct value is tested once."""
        known = np.fromiter((fits(value) for value in self.values), np.bool_, len(self.values))
        return known[self.codes] if len(self.values) else np.zeros(len(self.codes), np.bool_)

    @cached_property
    def ranks(self) -> Numbers:
        """A number for each row that sorts like its value; NaN for an empty one."""
        places = {value: float(at) for at, value in enumerate(sorted(self.values, key=fold))}
        numbers = np.fromiter((places[value] if value else math.nan for value in self.values), float, len(self.values))
        return numbers[self.codes] if len(self.values) else np.empty(0)


def numbers_of(lines: Sequence[RequestRow], read: Callable[[RequestRow], Any]) -> Numbers:
    """The column of the numbers that `read` returns; NaN where it returns None."""
    values = (math.nan if (value := read(line)) is None else value for line in lines)
    return np.fromiter(values, float, len(lines))


def first_of_each(codes: Order) -> Order:
    """The indices of the first occurrence of each code, in order."""
    places = np.arange(len(codes), dtype=np.int32)
    first = np.full(int(codes.max(initial=-1)) + 1, -1, np.int32)
    first[codes[::-1]] = places[::-1]
    ordered: Order = np.sort(first[first >= 0])
    return ordered


def ranks_of(averages: Numbers, best_first: Order) -> Order:
    """The rank of each row in `best_first`, equal ones with the same rank; 0 for all others, and without an average."""
    ranks = np.zeros(len(averages), np.int32)
    falling = averages[best_first]
    starts = np.ones(len(falling), np.bool_)
    starts[1:] = falling[1:] != falling[:-1]
    places = np.arange(1, len(falling) + 1, dtype=np.int32)
    ranks[best_first] = np.maximum.accumulate(np.where(starts, places, 0))
    ranks[best_first[np.isnan(falling)]] = 0
    return ranks


def _percent(value: float | None) -> float | None:
    return None if value is None else 100 * value


def score_column(benchmark: str) -> Callable[[RequestRow], float | None]:
    """A function that reads the normalised score of a benchmark."""
    return lambda line: line.benchmarks.get(benchmark)


def raw_score_column(benchmark: str) -> Callable[[RequestRow], float | None]:
    """A function that reads the raw score of a benchmark, in 0-100."""
    return lambda line: _percent(line.facts.raw.get(benchmark))


def _number(value: Value) -> float | None:
    return value if isinstance(value, float) else None


TEXT_COLUMNS: dict[str, Callable[[RequestRow], str]] = {
    "model": lambda line: line.model,
    "base": lambda line: line.facts.base_model or str(line.values["base"] or ""),
    "uploaded": lambda line: line.facts.uploaded,
}
"""Column → the function that reads its text, for columns whose text is not in a row's values under their key."""
NUMBER_COLUMNS: dict[str, Callable[[RequestRow], float | None]] = {
    "parameters": lambda line: _number(line.values["parameters"]),
    "time": lambda line: line.time or None,
    "likes": lambda line: line.facts.likes,
    "generation": lambda line: line.facts.generation,
    "co2": lambda line: line.facts.co2,
    "chat": lambda line: line.facts.chat_template,
    "merged": lambda line: line.is_merge,
    "moe": lambda line: line.facts.moe,
    "official": lambda line: line.facts.official,
    "available": lambda line: line.facts.available,
}
"""Column → the function that reads its number; every other column of numbers holds the scores of a benchmark."""
SORTED_AS_TEXT = (
    *("model", "category", "precision", "weights", "licence", "architecture", "base", "revision", "asked", "uploaded"),
)
"""Columns of texts by which the table can be sorted."""
