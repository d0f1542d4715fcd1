"""A snapshot of the leaderboard's table in columns: a hundred thousand evaluations are filtered in milliseconds."""

from __future__ import annotations

import math
import threading
from bisect import bisect_left
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from itertools import takewhile
from typing import Literal

import numpy as np

from bot.web.name_index import NameIndex
from bot.web.rank_ranges import RankRanges
from bot.web.request_row import RequestRow
from bot.web.row_columns import (
    NUMBER_COLUMNS,
    SORTED_AS_TEXT,
    TEXT_COLUMNS,
    Facet,
    Mask,
    Numbers,
    Order,
    first_of_each,
    numbers_of,
    ranks_of,
    raw_score_column,
    score_column,
)
from bot.web.rows import is_flagged
from bot.web.selection import Selected, Selection
from leaderboard.comparability import ComparisonGroups
from leaderboard.flags import StandingFlags
from leaderboard.search import Query, Value, fold

MAX_CACHED = 3
"""Selections, and orders, that one snapshot caches: a selection takes twenty bytes a row."""
FIRST_ROWS = 40
"""Rows of the first page."""
SIZE_STEPS = (0.0, 0.5, 1.0, 2.0, 3.0, 5.0, 7.0, 10.0, 13.0, 20.0, 35.0, 50.0, 70.0, 100.0, 150.0)
"""Billions of parameters at the ends of the size filter, and of the bars above it; the last bar has no end."""


class LeaderboardRows:
    """The numbered evaluations of one snapshot of the board."""

    def __init__(
        self,
        lines: Sequence[RequestRow],
        flags: StandingFlags,
        benchmarks: Sequence[str],
    ) -> None:
        self.lines, self.benchmarks = lines, benchmarks
        self.groups = ComparisonGroups((line.suite, line.asked) for line in lines)
        self.flagged = self._mask(lambda line: is_flagged(line, flags) or bool(line.id and line.facts.flagged))
        self.deleted = self._mask(lambda line: not line.facts.available)
        self.average = numbers_of(lines, lambda line: line.average)
        self._rank_ranges = RankRanges(lines, benchmarks, self.average, lambda: self.facet("group").codes)
        self._facets: dict[str, Facet] = {}
        self._columns: dict[str, Numbers] = {}
        self._selected: OrderedDict[Selection, Selected] = OrderedDict()
        self._names = NameIndex([line.folded for line in lines])
        ranks = self.facet("model").ranks
        self._named_order = np.argsort(ranks, kind="stable").astype(np.int32)
        self._unnamed = int(np.count_nonzero(np.isnan(ranks)))
        self._orders: dict[object, Order] = {}
        self._lock = threading.Lock()

    def _mask(self, test: Callable[[RequestRow], bool]) -> Mask:
        return np.fromiter(map(test, self.lines), np.bool_, len(self.lines))

    def facet(self, key: str) -> Facet:
        """A column of texts."""
        if key not in self._facets:
            read: Callable[[RequestRow], str] = TEXT_COLUMNS.get(key, lambda line: str(line.values.get(key) or ""))
            read = self.group_of if key == "group" else read
            self._facets[key] = Facet([read(line) for line in self.lines])
        return self._facets[key]

    def group_of(self, line: RequestRow) -> str:
        """The key of the evaluations that can be compared with this one."""
        return self.groups.of(line.suite, line.asked)

    def asks_others(self, line: RequestRow) -> bool:
        """Whether this evaluation is known to have answered other questions than most evaluations of the board."""
        return self.group_of(line) not in ("", self.groups.largest)

    def numbers(self, key: str, *, raw: bool = False) -> Numbers:
        """A column of numbers, or the scores of a benchmark; NaN where a row has none."""
        read = NUMBER_COLUMNS.get(key) or (raw_score_column(key) if raw else score_column(key))
        name = f"{key}\0raw" if raw else key
        if name not in self._columns:
            self._columns[name] = numbers_of(self.lines, read)
        return self._columns[name]

    def prepare(self) -> None:
        """Build the columns and rank ranges that the first visitors would wait for."""
        for key in ("category", "precision"):
            self.facet(key)
        for key in ("parameters", *self.benchmarks):
            self.numbers(key)
        shown = self.select(Selection())
        self.ranges(shown, shown.order[:FIRST_ROWS].tolist())

    @cached_property
    def _by_id(self) -> dict[str, int]:
        return {line.id or line.path: at for at, line in enumerate(self.lines)}

    def at(self, row_id: str) -> int | None:
        """The number of the evaluation with this id."""
        return self._by_id.get(row_id)

    # --- selecting

    def select(self, selection: Selection, query: Query | None = None) -> Selected:
        """The evaluations that `selection` shows; `query` is its parsed query."""
        with self._lock:
            if selection in self._selected:
                self._selected.move_to_end(selection)
                return self._selected[selection]
        selected = self._select(selection, query or Query())
        with self._lock:
            self._selected[selection] = selected
            while len(self._selected) > MAX_CACHED:
                self._selected.popitem(last=False)
        return selected

    def _select(self, selection: Selection, query: Query) -> Selected:
        averages = self._averages(selection)
        mask = self._matching(selection, query)
        hides_flagged = not selection.flagged and not any(term.column.key == "flagged" for term in query.terms)
        hidden = int(np.count_nonzero(mask & self.flagged)) if hides_flagged else 0
        if hides_flagged:
            mask &= ~self.flagged
        best_first = self._order("average", averages, selection, rising=False)
        best_first = best_first[mask[best_first]]
        if selection.per_model:
            best_first = best_first[first_of_each(self.facet("model").codes[best_first])]
            mask = np.zeros_like(mask)
            mask[best_first] = True
        order = self._sorted(selection, averages)
        ranks = ranks_of(averages, best_first)
        return Selected(selection, order[mask[order]], ranks, averages, hidden, best_first[ranks[best_first] > 0])

    def _averages(self, selection: Selection) -> Numbers:
        wanted = [name for name in self.benchmarks if name in selection.benchmarks]
        if not selection.raw and (not wanted or len(wanted) == len(self.benchmarks)):
            return self.average
        columns = [self.numbers(name, raw=selection.raw) for name in wanted or self.benchmarks]
        return np.mean(columns, axis=0) if columns else self.average

    def _matching(self, selection: Selection, query: Query) -> Mask:
        mask = np.ones(len(self.lines), np.bool_)
        if query.misread:
            return ~mask
        if query.names:
            named = np.zeros(len(self.lines), np.bool_)
            named[list(self._names.containing(query.names))] = True
            mask &= named
        for term in query.terms:
            mask &= self._fitting(term.column.key, term.column.kind, term.fits)
        if selection.categories:
            mask &= self.facet("category").among(selection.categories)
        if selection.precisions:
            mask &= self.facet("precision").among(selection.precisions)
        sizes = self.numbers("parameters")
        if selection.smallest is not None:
            mask &= sizes >= selection.smallest
        if selection.largest is not None:
            mask &= sizes <= selection.largest
        if not selection.merges:
            mask &= self.numbers("merged") == 0
        if not selection.experts:
            mask &= self.numbers("moe") == 0
        if not selection.deleted:
            mask &= ~self.deleted
        if selection.official:
            mask &= self.numbers("official") == 1
        return mask

    def _fitting(self, key: str, kind: Literal["words", "number", "yes-no"], fits: Callable[[Value], bool]) -> Mask:
        if key == "flagged":
            return np.where(self.flagged, fits(True), fits(False))
        if kind == "words":
            return self.facet(key).where(fits)
        numbers = self.average if key == "average" else self.numbers(key)
        distinct, places = np.unique(numbers, return_inverse=True)
        known = np.fromiter((fits(float(number)) for number in distinct), np.bool_, len(distinct))
        return known[places]

    def _sorted(self, selection: Selection, averages: Numbers) -> Order:
        """All rows in the order of the selection."""
        key = selection.sort
        if key in ("average", "rank"):
            return self._order("average", averages, selection, rising=selection.rising != (key == "rank"))
        if key in SORTED_AS_TEXT:
            return self._order(key, self.facet(key).ranks, selection, rising=selection.rising)
        values = self.numbers(key, raw=selection.raw and key not in NUMBER_COLUMNS)
        return self._order(key, values, selection, rising=selection.rising)

    def _order(self, key: str, values: Numbers, selection: Selection, *, rising: bool) -> Order:
        """All rows by `values`, the column `key`: equal ones by name, rows without a value last."""
        of_selection = (selection.raw, selection.benchmarks) if key == "average" else (selection.raw,)
        at = (key, rising, *of_selection)
        order = self._orders.get(at)
        if order is None:
            named = values[self._named_order]
            by_value = np.argsort(named if rising else -named, kind="stable")
            order = self._named_order[by_value].astype(np.int32)
            if len(self._orders) >= 2 * MAX_CACHED:
                self._orders = {}  # other threads may still read the former one
            self._orders[at] = order
        return order

    def of_model(self, model: str) -> list[int]:
        """The rows of the model with exactly this name, in any case."""
        name, named = fold(model), self._named_order[: len(self.lines) - self._unnamed]
        start = bisect_left(named, name, key=lambda at: self.lines[at].folded)
        return sorted(takewhile(lambda at: self.lines[at].folded == name, map(int, named[start:])))

    def best_of(self, model: str) -> int | None:
        """The row of the model that has the best average."""
        return max(self.of_model(model), key=lambda at: self.average[at], default=None)

    def models_like(self, text: str, limit: int = 8) -> list[str]:
        """Models whose folded name contains `text`, the best first."""
        rows = np.fromiter(self._names.containing([text]), np.int32)
        best: Order = rows[np.argsort(-self.average[rows], kind="stable")][: 4 * limit] if len(rows) else rows
        return list(dict.fromkeys(self.lines[at].model for at in best))[:limit]

    def values_like(self, key: str, text: str, limit: int = 8) -> list[str]:
        """Values of a column that contain `text`, the most frequent first."""
        facet = self.facet(key)
        counts = np.bincount(facet.codes, minlength=len(facet.values)) if len(facet.values) else np.empty(0)
        order = np.argsort(-counts, kind="stable")
        return [value for at in order if (value := facet.values[at]) and text in fold(value)][:limit]

    # --- ranges of ranks

    @property
    def has_errors(self) -> bool:
        """Whether the standard error of any average is known."""
        return self._rank_ranges.has_errors

    @property
    def is_paired(self) -> bool:
        """Whether ranges of ranks compare models question by question, as far as they have influence vectors."""
        return self._rank_ranges.is_paired

    def ranges(self, selected: Selected, rows: Sequence[int]) -> Mapping[int, tuple[int, int]]:
        """The ranges of ranks of `rows` among the selected evaluations that are comparable with them."""
        return self._rank_ranges.ranges(selected, rows)

    # --- what filters show

    @cached_property
    def size_counts(self) -> tuple[int, ...]:
        """The number of evaluations in each step of the size filter."""
        sizes = self.numbers("parameters")
        counts, _ = np.histogram(sizes[~np.isnan(sizes)], (*SIZE_STEPS, math.inf))
        return tuple(int(count) for count in counts)
