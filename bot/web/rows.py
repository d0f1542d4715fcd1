"""The rows of the table of requests at one moment: searched by `leaderboard.search`, sorted, and remembered.

A term of a query is asked once for each different value of its column, and names are looked for in all of them at once:
a hundred thousand rows take milliseconds.
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
FEW = 8
"""One in so many rows, or fewer, are sorted by themselves; more are picked out of the order of all."""
CATEGORIES: dict[str, ModelCategory] = {one.value: one for one in ModelCategory}
CACHED = 64
"""Answers to searches that are kept as long as nothing changes."""


@dataclass(frozen=True)
class RequestRow:
    """One request: what its row shows and what it is found by. `benchmarks` are normalised scores by name, `suite` the
    digest of the one that they are by."""

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
        """The mean of its scores, where it was evaluated."""
        found = self.values["average"]
        return found if isinstance(found, float) else None


def row_of(entry: IndexEntry, scored: EvaluationScores | None, licence: str = "") -> RequestRow:
    """The line of one request that everybody may know of."""
    name, values = values_of(entry, scored, licence)
    told = serializers.state_of(entry)
    benchmarks, suite = (scored.benchmarks, scored.suite) if scored is not None else ({}, "")
    return RequestRow(
        entry.path, name, fold(name), told, entry.time, values, entry.weights, sys.intern(suite), benchmarks
    )


class RequestRows:
    """The rows of one moment, numbered; what was prepared `before` is prepared in them too."""

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
        self._alike: FuzzyNameIndex | None = None
        for sort in ("average", "time"):  # what every visitor asks for first
            self._order(sort)
        if before is not None and before._alike is not None:
            self.prepare(before._orders)

    def prepare(self, sorts: Iterable[str]) -> None:
        """Make everything that the first to ask would wait for; those rows that follow have it from the start."""
        for sort in sorts:
            self._order(sort)
        self.at("")
        self._alike = self._spelling()

    def once(self, asked: object, work: Callable[[], Iterable[int]]) -> Sequence[int]:
        """What `work` finds, remembered under what was `asked`: four bytes a row, for strangers choose what that is."""
        found = self._answers.get(asked)
        if found is None:
            if len(self._answers) >= CACHED:
                self._answers.clear()
            found = self._answers[asked] = array("I", work())
        return found

    def count(self, state: str) -> int:
        """How many requests are in `state`."""
        return len(self._states.get(state, ()))

    def at(self, path: str) -> int | None:
        """The number of the request at `path`."""
        if not self._by_path:
            self._by_path = {line.path: at for at, line in enumerate(self.lines)}
        return self._by_path.get(path)

    def evaluated_as(self, category: str, precision: str) -> list[int]:
        """The numbers of those that have scores, of one category and at one precision; "" stands for any."""
        found = self.with_scores
        if category:
            found = [at for at in found if category_of(self.lines[at]) == category]
        if precision:
            found = [at for at in found if self.lines[at].values["precision"] == precision]
        return found

    def of_state(self, state: str) -> Sequence[int]:
        """The numbers of those in `state`; all of them for ""."""
        return self._states.get(state, []) if state else range(len(self.lines))

    def find(self, query: Query, among: Sequence[int]) -> list[int]:
        """Those of `among` that the query means, as `Query.finds` would say it of each."""
        if query.misread:
            return []
        if query.names:
            named = self._named(query.names)
            among = sorted(named) if len(among) == len(self.lines) else [at for at in among if at in named]
        for term in query.terms:
            known: dict[Value, bool] = {}
            found: list[int] = []
            column = self._column(term.column.key)
            for at in among:
                value = column[at]
                fits = known.get(value)
                if fits is None:
                    fits = known[value] = term.fits(value)
                if fits:
                    found.append(at)
            among = found
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
        """The rows whose name holds one of `names`: each is looked for in all names at once.

        One that is in very many, such as a single letter, is looked for in each of those that are left, not found anew.
        """
        found: set[int] = set()
        left: Sequence[int] = range(len(self.lines))
        for name in names:
            if FEW * self._text.count(name) > len(self.lines):
                left = [at for at in left if at not in found]
                found.update([at for at in left if name in self.lines[at].folded])
                continue
            at = self._text.find(name)
            while at >= 0:
                row = bisect_right(self._starts, at) - 1
                found.add(row)
                at = self._text.find(name, self._starts[row + 1])
        return found

    def in_order(self, found: Iterable[int], sort: str, *, rising: bool) -> list[int]:
        """`found` by one of SORTS or by a benchmark; those without a value last, equal ones by name."""
        kept = set(found)
        known, unknown = self._order(sort)
        if FEW * len(kept) < len(self.lines):
            ranks, first = self._ranks[sort], len(known)
            told = sorted((at for at in kept if ranks[at] < first), key=ranks.__getitem__, reverse=not rising)
            return told + sorted((at for at in kept if ranks[at] >= first), key=ranks.__getitem__)
        order = known if rising else reversed(known)
        return [at for at in order if at in kept] + [at for at in unknown if at in kept]

    def _order(self, sort: str) -> tuple[list[int], list[int]]:
        """The rows by what `sort` says, rising, and those of which that is not known; each has its rank there."""
        if sort not in self._orders:
            keys = [self._key(sort, at) for at in range(len(self.lines))]
            known = [at for at, key in enumerate(keys) if key is not None]
            known.sort(key=keys.__getitem__)  # type: ignore[arg-type]  # all words, or all numbers
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
                found = line.values[sort]
                return found if isinstance(found, float) else None
            case _:
                return line.benchmarks.get(sort)

    def near(self, query: Query) -> list[str]:
        """Names that are like those that the query asks for."""
        if self._alike is None:
            self._alike = self._spelling()
        return self._alike.near(query)

    def _spelling(self) -> FuzzyNameIndex:
        return FuzzyNameIndex((line.model, line.folded) for line in self.lines)


def category_of(line: RequestRow) -> ModelCategory:
    """What kind of model it says it is."""
    return CATEGORIES.get(str(line.values["category"]), ModelCategory.UNKNOWN)
