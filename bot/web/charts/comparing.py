"""A model's scores beside its base model's and its category's, from the table in memory.

What a category reaches is worked out once for each state of the table. Where very many were evaluated that takes a
moment: it is then done in the background, and what is told meanwhile is that of the state before.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable

from bot.web.charts import models
from bot.web.rows import RequestRow, RequestRows
from bot.web.table import MANY, RequestTable
from leaderboard.categories import ModelCategory
from leaderboard.comparisons import CategoryStandard, ComparableEvaluation, best_of, category_standard
from redis_state.board.entry import IndexEntry

Group = tuple[str, str]
"""Category and suite."""


class Standards:
    """What each category reaches. Safe to share between threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._rows: RequestRows | None = None
        self._found: dict[Group, CategoryStandard] = {}
        self._working = False

    def of(self, rows: RequestRows, group: Group) -> CategoryStandard:
        """What the models of one category reach by one suite."""
        with self._lock:
            if self._rows is None or (rows is not self._rows and len(rows.lines) < MANY):
                self._work(rows)
            elif rows is not self._rows and not self._working:
                self._working = True
                threading.Thread(target=self._work_aside, args=(rows,), daemon=True).start()
            return self._found.get(group, CategoryStandard())

    def _work(self, rows: RequestRows) -> None:
        self._found, self._rows = standards(rows), rows

    def _work_aside(self, rows: RequestRows) -> None:
        try:
            self._work(rows)
        finally:
            self._working = False


def standards(rows: RequestRows) -> dict[Group, CategoryStandard]:
    """What every category reaches, of those that are not flagged."""
    groups: dict[Group, list[RequestRow]] = {}
    for at in rows.with_scores:
        line = rows.lines[at]
        if at not in rows.flagged:
            groups.setdefault((str(line.values["category"]), line.suite), []).append(line)
    return {group: category_standard(lines) for group, lines in groups.items() if group[0] != ModelCategory.UNKNOWN}


class Comparing:
    """Compares the models of one board."""

    def __init__(self, table: RequestTable) -> None:
        self._table = table
        self._standards = Standards()

    def warm(self) -> None:
        """Work out what the categories reach, and where each request is, before anybody looks."""
        rows = self._table.rows()
        self._standards.of(rows, ("", ""))
        rows.at("")

    def compared(self, entries: Iterable[IndexEntry]) -> models.ComparisonView | None:
        """The best evaluation among a model's requests beside others; None where there is nothing to compare.

        At most two round trips, where it has a base model.
        """
        rows = self._table.rows()
        own = best_of(_lines(rows, entries))
        if not isinstance(own, RequestRow):
            return None
        category = str(own.values["category"])
        found = self._standards.of(rows, (category, own.suite))
        base, best = self._base(rows, own), found.best_but(own.model)
        others = [
            *([_other("base", base)] if base is not None else []),
            *([_other("best", best)] if best is not None else []),
            *([_middle(found)] if found.models > 1 else []),
        ]
        if not others:
            return None
        return models.ComparisonView(model=own.model, path=own.path, category=category, own=_scores(own), others=others)

    def _base(self, rows: RequestRows, own: RequestRow) -> ComparableEvaluation | None:
        name = str(own.values["base"] or "")
        if not name or name.casefold() == own.model.casefold():
            return None
        entries = self._table.context.index.of_model(name)
        return best_of(_lines(rows, (one for one in entries if not one.is_private), flagged=False), own.suite)


def _lines(rows: RequestRows, entries: Iterable[IndexEntry], *, flagged: bool = True) -> list[RequestRow]:
    """Their rows, as far as they have any; without those that are flagged unless `flagged` says so."""
    found = (rows.at(one.path) for one in entries)
    return [rows.lines[at] for at in found if at is not None and (flagged or at not in rows.flagged)]


def _scores(one: ComparableEvaluation) -> models.ScoresView:
    return models.ScoresView(average=one.average or 0.0, benchmarks=dict(one.benchmarks))


def _other(what: models.Whose, one: ComparableEvaluation) -> models.ReferenceScoresView:
    path = one.path if isinstance(one, RequestRow) else ""
    return models.ReferenceScoresView(what=what, model=one.model, path=path, **dict(_scores(one)))


def _middle(found: CategoryStandard) -> models.ReferenceScoresView:
    return models.ReferenceScoresView(
        what="middle", among=found.models, average=found.average or 0.0, benchmarks=dict(found.benchmarks)
    )
