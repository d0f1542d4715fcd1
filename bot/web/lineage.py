"""A model's relatives on the leaderboard: its base model, the bases of that, and the models made from it."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from bot.read_models.models import ApiModel
from bot.web.leaderboard_rows import LeaderboardRows
from bot.web.request_row import category_of
from bot.web.selection import Selection
from bot.web.table import RequestTable
from leaderboard.search import fold

MAX_PARENTS, MAX_CHILDREN = 10, 50
"""Base models that are followed one after the other, and children that are listed."""


class RelativeView(ApiModel):
    """A model that another one is made from, or that is made from another one; with its best evaluation, if any."""

    model: str
    evaluated: bool
    rank: int = 0
    average: float | None = None
    category: str = ""
    flagged: bool = False


class LineageView(ApiModel):
    """The relatives of one model."""

    parents: list[RelativeView]
    """Its base model, the base of that, and so on: the nearest first."""
    children: list[RelativeView]
    """Evaluated models that name it as their base, the best first."""
    children_count: int
    """The number of all such models, with those that are not listed."""


class LineageReader:
    """The lineages of one board. Safe to share between threads."""

    def __init__(self, table: RequestTable) -> None:
        self._table = table
        self._cache: tuple[LeaderboardRows, dict[str, list[int]]] | None = None

    def of(self, model: str) -> LineageView:
        """The relatives of a model, by the base models that submissions and model cards name."""
        rows = self._table.leaderboard()
        children = self._children(rows, model)
        return LineageView(
            parents=[relative(rows, name, rows.best_of(name)) for name in parents(rows, model)],
            children=[relative(rows, rows.lines[at].model, at) for at in children[:MAX_CHILDREN]],
            children_count=len(children),
        )

    def _children(self, rows: LeaderboardRows, model: str) -> list[int]:
        """The best evaluation of each model whose base is `model`, the best first."""
        name, facet = fold(model), rows.facet("base")
        codes = self._codes(rows).get(name, [])
        numbers = np.flatnonzero(np.isin(facet.codes, codes)).tolist() if codes else []
        numbers.sort(key=lambda at: -rows.average[at])
        best: dict[str, int] = {}
        for at in numbers:
            best.setdefault(rows.lines[at].folded, at)
        best.pop(name, None)
        return list(best.values())

    def _codes(self, rows: LeaderboardRows) -> dict[str, list[int]]:
        """Folded name of a base model → the codes of its spellings, which differ in case."""
        cache = self._cache  # another thread may replace it meanwhile
        if cache is None or cache[0] is not rows:
            codes: dict[str, list[int]] = {}
            for code, value in enumerate(rows.facet("base").values):
                if value:
                    codes.setdefault(fold(value), []).append(code)
            self._cache = cache = (rows, codes)
        return cache[1]


def parents(rows: LeaderboardRows, model: str) -> list[str]:
    """The base model, its base, and so on; a repeated name ends the list."""
    names, seen = list[str](), {fold(model)}
    base = _base(rows, rows.of_model(model))
    while base and fold(base) not in seen and len(names) < MAX_PARENTS:
        names.append(base)
        seen.add(fold(base))
        base = _base(rows, rows.of_model(base))
    return names


def _base(rows: LeaderboardRows, numbers: Iterable[int]) -> str:
    facet = rows.facet("base")
    return next((base for at in numbers if (base := facet.values[facet.codes[at]])), "")


def relative(rows: LeaderboardRows, model: str, at: int | None) -> RelativeView:
    """The view of `model` with its evaluation number `at`; None means that it was not evaluated."""
    if at is None:
        return RelativeView(model=model, evaluated=False)
    line = rows.lines[at]
    return RelativeView(
        model=line.model,
        evaluated=True,
        rank=int(rows.select(Selection()).ranks[at]),
        average=line.average,
        category=category_of(line).value,
        flagged=bool(rows.flagged[at]),
    )
