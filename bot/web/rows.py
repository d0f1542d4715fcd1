"""A snapshot of the table of requests: searched by `leaderboard.search`, sorted, with cached answers.

A term of a query is evaluated once for each distinct value of its column, and names are searched in one joined text: a
hundred thousand rows take milliseconds.
"""

from __future__ import annotations

import sys
from array import array
from bisect import bisect_right
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from itertools import accumulate, chain

from bot.read_models import serializers
from bot.results.fuzzy_names import FuzzyNameIndex
from bot.results.searching import values_of
from leaderboard.categories import ModelCategory
from leaderboard.search import Query, Value, fold
from redis_state.board.entry import IndexEntry
from redis_state.board.scoreboard import EvaluationScores

SORTS = ("average", "model", "parameters", "time")
SMALL_SHARE = 8
"""Up to one in so many rows are sorted by themselves; more are filtered from the order of all rows."""
CATEGORIES: dict[str, ModelCategory] = {category.value: category for category in ModelCategory}
MAX_CACHED = 64
"""Search results that one snapshot caches."""


@dataclass(frozen=True)
class RequestRow:
    """One request: the values that its row shows and that searches match. `benchmarks` are normalised scores by name,
    `suite` the digest of the suite that they belong to."""

    path: str
    model: str
    folded: str
    state: str
    time: float
    values: dict[str, Value]
    weights: str = ""
    suite: str = ""
    benchmarks: dict[str, float] = field(default_factory=dict)

    @property
    def average(self) -> float | None:
        """The mean of its scores; None if it was not evaluated."""
        average = self.values["average"]
        return average if isinstance(average, float) else None


def row_of(entry: IndexEntry, scored: EvaluationScores | None, licence: str = "") -> RequestRow:
    """The row of one public request."""
    name, values = values_of(entry, scored, licence)
    state = serializers.state_of(entry)
    benchmarks, suite = (scored.benchmarks, scored.suite) if scored is not None else ({}, "")
    return RequestRow(
        entry.path, name, fold(name), state, entry.time, values, entry.weights, sys.intern(suite), benchmarks
    )


class RequestRows:
    """The numbered rows of one snapshot. If the snapshot `before` was prepared, this one is prepared too."""

    def __init__(
        self,
        lines: tuple[RequestRow, ...],
        flagged: tuple[frozenset[str], frozenset[str]],
        before: RequestRows | None = None,
    ) -> None:
        self.lines = lines
        names, weights = flagged
        self.flagged = frozenset(
            at
            for at, line in enumerate(lines)
            if (names and line.model.casefold() in names) or (weights and line.weights in weights)
        )
        self._text = "\n".join(line.folded for line in lines)
        self._starts = list(accumulate((len(line.folded) + 1 for line in lines), initial=0))
        self._ranks: dict[str, array[int]] = {}
        self._orders: dict[str, tuple[list[int], list[int]]] = {}
        self._states: dict[str, list[int]] = {}
        self._by_path: dict[str, int] = {}
        for at, line in enumerate(lines):
            self._states.setdefault(line.state, []).append(at)
        self.with_scores = [at for at, line in enumerate(lines) if line.average is not None]
        self._columns: dict[str, list[Value]] = {}
        self._answers: dict[object, array[int]] = {}
        self._fuzzy_names: FuzzyNameIndex | None = None
        for sort in ("average", "time"):  # the orders of the first pages that visitors open
            self._order(sort)
        if before is not None and before._fuzzy_names is not None:
            self.prepare(before._orders)

    def prepare(self, sorts: Iterable[str]) -> None:
        """Build everything that the first query would wait for; later snapshots then build it from the start."""
        for sort in sorts:
            self._order(sort)
        self.at("")
        self._fuzzy_names = self._index_names()

    def once(self, key: object, compute: Callable[[], Iterable[int]]) -> Sequence[int]:
        """The row numbers of `compute`, cached under `key`: four bytes a row, because strangers choose the keys."""
        numbers = self._answers.get(key)
        if numbers is None:
            if len(self._answers) >= MAX_CACHED:
                self._answers.clear()
            numbers = self._answers[key] = array("I", compute())
        return numbers

    def count(self, state: str) -> int:
        """The number of requests in `state`."""
        return len(self._states.get(state, ()))

    def at(self, path: str) -> int | None:
        """The number of the request at `path`."""
        if not self._by_path:
            self._by_path = {line.path: at for at, line in enumerate(self.lines)}
        return self._by_path.get(path)

    def evaluated_as(self, category: str, precision: str) -> list[int]:
        """The numbers of the rows with scores, of one category and at one precision; "" stands for any."""
        rows = self.with_scores
        if category:
            rows = [at for at in rows if category_of(self.lines[at]) == category]
        if precision:
            rows = [at for at in rows if self.lines[at].values["precision"] == precision]
        return rows

    def of_state(self, state: str) -> Sequence[int]:
        """The numbers of the rows in `state`; of all rows for ""."""
        return self._states.get(state, []) if state else range(len(self.lines))

    def find(self, query: Query, among: Sequence[int]) -> list[int]:
        """The rows of `among` that match the query, as `Query.finds` decides for each."""
        if query.misread:
            return []
        if query.names:
            named = self._named(query.names)
            among = sorted(named) if len(among) == len(self.lines) else [at for at in among if at in named]
        for term in query.terms:
            fits_by_value: dict[Value, bool] = {}
            matches: list[int] = []
            column = self._column(term.column.key)
            for at in among:
                value = column[at]
                fits = fits_by_value.get(value)
                if fits is None:
                    fits = fits_by_value[value] = term.fits(value)
                if fits:
                    matches.append(at)
            among = matches
        return list(among)

    def _column(self, key: str) -> list[Value]:
        if key not in self._columns:
            every = range(len(self.lines))
            self._columns[key] = (
                [at in self.flagged for at in every]
                if key == "flagged"
                else [line.values.get(key) for line in self.lines]
            )
        return self._columns[key]

    def _named(self, names: Iterable[str]) -> set[int]:
        """The rows whose name contains one of `names`: each is searched in the joined text of all names.

        A name that occurs in very many rows, such as a single letter, is tested against each remaining row instead.
        """
        matches: set[int] = set()
        remaining: Sequence[int] = range(len(self.lines))
        for name in names:
            if SMALL_SHARE * self._text.count(name) > len(self.lines):
                remaining = [at for at in remaining if at not in matches]
                matches.update([at for at in remaining if name in self.lines[at].folded])
                continue
            at = self._text.find(name)
            while at >= 0:
                row = bisect_right(self._starts, at) - 1
                matches.add(row)
                at = self._text.find(name, self._starts[row + 1])
        return matches

    def in_order(self, rows: Iterable[int], sort: str, *, rising: bool) -> list[int]:
        """`rows` by one of SORTS or by a benchmark; rows without a value last, equal ones by name."""
        wanted = set(rows)
        known, unknown = self._order(sort)
        if SMALL_SHARE * len(wanted) < len(self.lines):
            ranks, first_unknown = self._ranks[sort], len(known)
            with_value = (at for at in wanted if ranks[at] < first_unknown)
            without_value = (at for at in wanted if ranks[at] >= first_unknown)
            return [
                *sorted(with_value, key=ranks.__getitem__, reverse=not rising),
                *sorted(without_value, key=ranks.__getitem__),
            ]
        order = known if rising else reversed(known)
        return [at for at in order if at in wanted] + [at for at in unknown if at in wanted]

    def _order(self, sort: str) -> tuple[list[int], list[int]]:
        """The rows sorted by `sort`, rising, and the rows without such a value; stores the rank of each."""
        if sort not in self._orders:
            keys = [self._key(sort, at) for at in range(len(self.lines))]
            known = [at for at, key in enumerate(keys) if key is not None]
            known.sort(key=keys.__getitem__)  # type: ignore[arg-type]  # all strings, or all numbers
            unknown = [at for at, key in enumerate(keys) if key is None]
            ranks = array("L", bytes(array("L").itemsize * len(keys)))
            for rank, at in enumerate(chain(known, unknown)):
                ranks[at] = rank
            self._ranks[sort] = ranks
            self._orders[sort] = known, unknown
        return self._orders[sort]

    def _key(self, sort: str, at: int) -> float | str | None:
        line = self.lines[at]
        match sort:
            case "model":
                return line.folded
            case "time":
                return line.time
            case "average" | "parameters":
                value = line.values[sort]
                return value if isinstance(value, float) else None
            case _:
                return line.benchmarks.get(sort)

    def near(self, query: Query) -> list[str]:
        """Names similar to those in the query."""
        if self._fuzzy_names is None:
            self._fuzzy_names = self._index_names()
        return self._fuzzy_names.near(query)

    def _index_names(self) -> FuzzyNameIndex:
        return FuzzyNameIndex((line.model, line.folded) for line in self.lines)


def category_of(line: RequestRow) -> ModelCategory:
    """The category that its submission states."""
    return CATEGORIES.get(str(line.values["category"]), ModelCategory.UNKNOWN)
