"""A snapshot of the table of requests: searched by `leaderboard.search`, sorted, with cached answers.

A term of a query is evaluated once for each distinct value of its column, and names are searched in one joined text: a
hundred thousand rows take milliseconds.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterable, Sequence
from itertools import chain

from bot.results.fuzzy_names import FuzzyNameIndex
from bot.web.name_index import NameIndex
from bot.web.request_row import RequestRow, category_of
from leaderboard.comparability import ComparisonGroups
from leaderboard.flags import StandingFlags
from leaderboard.search import Query, Value

SORTS = ("average", "model", "parameters", "time")
SMALL_SHARE = 8
"""Fewer than one in this many rows are sorted by themselves; more are filtered from the order of all rows."""
MAX_CACHED = 64
"""Search results that one snapshot caches."""


def is_flagged(line: RequestRow, flags: StandingFlags) -> bool:
    """Whether one of `flags` covers this request or evaluation."""
    revision, precision = str(line.values["revision"]), str(line.values["precision"])
    return flags.flagged(line.model, revision, precision, line.weights)


class RequestRows:
    """The numbered rows of one snapshot. If the snapshot `before` was prepared, this one is prepared too."""

    def __init__(
        self,
        lines: tuple[RequestRow, ...],
        flags: StandingFlags,
        before: RequestRows | None = None,
    ) -> None:
        self.lines = lines
        self.flagged = frozenset(at for at, line in enumerate(lines) if is_flagged(line, flags))
        self.groups = ComparisonGroups((line.suite, line.asked) for line in lines if line.suite)
        self._names = NameIndex([line.folded for line in lines])
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
        """The row numbers of `compute`, cached under `key`, in four bytes a row: visitors choose the keys."""
        numbers = self._answers.get(key)
        if numbers is None:
            if len(self._answers) >= MAX_CACHED:
                self._answers.clear()
            numbers = self._answers[key] = array("I", compute())
        return numbers

    def group_of(self, line: RequestRow) -> str:
        """The key of the evaluations that can be compared with this one."""
        return self.groups.of(line.suite, line.asked)

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
            named = self._names.containing(query.names)
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
