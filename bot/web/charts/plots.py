"""Averages against parameters, and over time, with the line of the best: computed once for each snapshot of the table.

Thousands of dots would cover each other and take long to load, so one of several close dots is drawn.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Literal

import numpy as np

from bot.web.charts.scatter import Scatter, draw_scatter
from bot.web.charts.words import words
from bot.web.leaderboard_rows import LeaderboardRows
from bot.web.row_columns import Numbers, Order
from bot.web.selection import Selection
from bot.web.table import RequestTable
from leaderboard.categories import ModelCategory

By = Literal["parameters", "time"]
KINDS: tuple[By, ...] = ("parameters", "time")
MAX_DOTS = 2_000
GRID = (240, 140)
"""Columns and rows of the cells that have one dot each; fewer where that would be more than MAX_DOTS."""
_SIZES = tuple(step * 10.0**power for power in range(-6, 5) for step in (1, 3))
_DAY = 86_400.0


@dataclass(frozen=True)
class Plot:
    """One plot: the row numbers of the drawn evaluations, those on the front first, and its chart, if any."""

    rows: LeaderboardRows
    count: int
    dots: Sequence[int]
    front: frozenset[int]
    scatter: Scatter | None


@dataclass
class _PlotCache:
    """Plots and charts of one snapshot."""

    rows: LeaderboardRows
    plots: dict[tuple[By, ModelCategory | None], Plot] = field(default_factory=dict)
    charts: dict[tuple[By, ModelCategory | None, int], bytes] = field(default_factory=dict)


class PlotReader:
    """The plots of one board. Safe to share between threads."""

    def __init__(self, table: RequestTable) -> None:
        self._table = table
        self._cache: _PlotCache | None = None
        self._lock = threading.Lock()

    def plot(self, by: By, category: ModelCategory | None) -> Plot:
        """The plot of all models, or of those of one category."""
        return self._plot(self._current(), by, category)

    def chart(self, by: By, category: ModelCategory | None, width: int) -> bytes | None:
        """The plot as SVG; None if there is nothing to draw."""
        cache, key = self._current(), (by, category, width)
        if key not in cache.charts:
            scatter = self._plot(cache, by, category).scatter
            if scatter is None:
                return None
            cache.charts[key] = draw_scatter(scatter, width)
        return cache.charts[key]

    def _current(self) -> _PlotCache:
        rows = self._table.leaderboard()
        with self._lock:
            if self._cache is None or self._cache.rows is not rows:
                self._cache = _PlotCache(rows)
            return self._cache

    def _plot(self, cache: _PlotCache, by: By, category: ModelCategory | None) -> Plot:
        key = (by, category)
        if key not in cache.plots:
            cache.plots[key] = plot_of(cache.rows, by, category)
        return cache.plots[key]


def plot_of(rows: LeaderboardRows, by: By, category: ModelCategory | None = None) -> Plot:
    """The plot of the evaluations that the leaderboard shows by default; by parameters, only the best of each model."""
    categories = (category.value,) if category is not None else ()
    order = rows.select(Selection(categories=categories, per_model=by == "parameters")).order
    values = rows.numbers(by)[order]
    order = order[(values > 0) & (values < 1e11) & ~np.isnan(rows.average[order])]
    xs, ys = rows.numbers(by)[order], rows.average[order]
    if by == "parameters":
        xs = np.log10(xs)
    front = best_front(xs, ys)
    below_front = np.setdiff1d(thinned(xs, ys), front)
    below_front = below_front[np.argsort(-ys[below_front], kind="stable")]
    drawn = np.concatenate([front[::-1], below_front])
    return Plot(
        rows,
        len(order),
        order[drawn].tolist(),
        frozenset(order[front].tolist()),
        _scatter(rows, by, category, order, front, drawn, xs, ys) if len(order) else None,
    )


def best_front(xs: Numbers, ys: Numbers) -> Order:
    """The indices of the points that are higher than all points at or left of them, from left to right."""
    order = np.lexsort((-ys, xs)).astype(np.int32)
    heights = ys[order]
    best_before = np.concatenate([[-np.inf], np.maximum.accumulate(heights)[:-1]])
    front: Order = order[heights > best_before]
    return front


def thinned(xs: Numbers, ys: Numbers) -> Order:
    """The indices of at most MAX_DOTS points: the first point in each cell of a grid."""
    columns, lines = (float(size) for size in GRID)
    while True:
        cells = np.floor(_share(xs) * columns) * GRID[1] + np.floor(_share(ys) * lines)
        _, places = np.unique(cells, return_index=True)
        if len(places) <= MAX_DOTS:
            order: Order = places.astype(np.int32)
            return order
        columns, lines = columns * 0.8, lines * 0.8


def _share(values: Numbers) -> Numbers:
    """Values as shares of the range, below 1."""
    if not len(values):
        return values
    low = values.min()
    shares: Numbers = (values - low) / ((values.max() - low) * 1.000001 or 1.0)
    return shares


def _scatter(
    rows: LeaderboardRows,
    by: By,
    category: ModelCategory | None,
    order: Order,
    front: Order,
    drawn: Order,
    xs: Numbers,
    ys: Numbers,
) -> Scatter:
    top = int(front[-1])
    best, at = rows.lines[order[top]], float(rows.numbers(by)[order[top]])
    words_at = f"{at:.3g} billion parameters" if by == "parameters" else date_words(at)
    dots = np.column_stack([xs[drawn], ys[drawn]]).tolist()
    return Scatter(
        title=words.plot_title(by, category.value if category is not None else ""),
        says=words.plot(by, len(order), len(drawn), {"model": best.model, "average": float(ys[top])}, words_at),
        dots=dots[len(front) :],
        front=dots[: len(front)][::-1],
        names=(words.plot_dots(by), words.plot_front(by)),
        x_ticks=size_ticks(xs) if by == "parameters" else time_ticks(float(xs.min()), float(xs.max())),
        y_ticks=score_ticks(float(ys.min()), float(ys.max())),
    )


def size_ticks(logarithms: Numbers) -> list[tuple[float, str]]:
    """Ticks at 1, 3, 10, … billion parameters, with one at each end."""
    low = max((size for size in _SIZES if math.log10(size) <= logarithms.min()), default=_SIZES[0])
    high = min((size for size in _SIZES if math.log10(size) >= logarithms.max()), default=_SIZES[-1])
    return [(math.log10(size), f"{size:g}B") for size in _SIZES if low <= size <= max(high, low * 3.4)]


def time_ticks(first: float, last: float) -> list[tuple[float, str]]:
    """Ticks at days, months or years, with one at each end."""
    days = (last - first) / _DAY
    if days < 60:
        step = _DAY * max(1, math.ceil(days / 8))
        start = math.floor(first / _DAY) * _DAY
        return [(at, date_words(at)) for at in _until(start, step, last)]
    months = max(1, math.ceil(days / 30.4 / 12))
    begin = datetime.fromtimestamp(first, UTC)
    number, ticks = begin.year * 12 + begin.month - 1, list[tuple[float, str]]()
    while not ticks or ticks[-1][0] < last:
        at = datetime(number // 12, number % 12 + 1, 1, tzinfo=UTC)
        ticks.append((at.timestamp(), at.strftime("%b %Y")))
        number += months
    return ticks


def _until(start: float, step: float, last: float) -> list[float]:
    return [start + step * number for number in range(max(1, math.ceil((last - start) / step)) + 1)]


def score_ticks(least: float, most: float) -> list[tuple[float, str]]:
    """Ticks at round scores, with one at each end."""
    step = next(size for size in (1, 2, 5, 10, 20, 50, math.inf) if most - least <= 8 * size)
    low = math.floor(least / step) * step
    return [(at, f"{at:g}") for at in _until(low, step, most)]


def date_words(seconds: float) -> str:
    """A day in words: `24 Nov 2026`."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%-d %b %Y")
