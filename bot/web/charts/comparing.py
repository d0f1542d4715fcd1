"""Compare a model's scores with its base model's and its category's, from the table in memory.

The standards of all categories are computed once for each snapshot of the table. For a large table that takes a moment
and runs in the background; until then the standards of the snapshot before are used.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable

from bot.web.charts import models
from bot.web.request_row import RequestRow
from bot.web.rows import RequestRows
from bot.web.table import MAX_SYNCHRONOUS_ROWS, RequestTable
from leaderboard.categories import ModelCategory
from leaderboard.comparisons import CategoryStandard, ComparableEvaluation, best_of, category_standard
from redis_state.board.entry import IndexEntry

Group = tuple[str, str]
"""Category, and key of comparable evaluations."""


class Standards:
    """The standard scores of each category. Safe to share between threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._rows: RequestRows | None = None
        self._standards: dict[Group, CategoryStandard] = {}
        self._computing = False

    def of(self, rows: RequestRows, group: Group) -> CategoryStandard:
        """The standard of the models of one category that answered the same questions."""
        with self._lock:
            if self._rows is None or (rows is not self._rows and len(rows.lines) < MAX_SYNCHRONOUS_ROWS):
                self._compute(rows)
            elif rows is not self._rows and not self._computing:
                self._computing = True
                threading.Thread(target=self._compute_in_background, args=(rows,), daemon=True).start()
            return self._standards.get(group, CategoryStandard())

    def _compute(self, rows: RequestRows) -> None:
        self._standards, self._rows = standards(rows), rows

    def _compute_in_background(self, rows: RequestRows) -> None:
        try:
            self._compute(rows)
        finally:
            self._computing = False


def standards(rows: RequestRows) -> dict[Group, CategoryStandard]:
    """The standard of every category, from models that are not flagged."""
    groups: dict[Group, list[RequestRow]] = {}
    for at in rows.with_scores:
        line = rows.lines[at]
        if at not in rows.flagged:
            groups.setdefault((str(line.values["category"]), rows.group_of(line)), []).append(line)
    return {group: category_standard(lines) for group, lines in groups.items() if group[0] != ModelCategory.UNKNOWN}


class Comparing:
    """Compares the models of one board."""

    def __init__(self, table: RequestTable) -> None:
        self._table = table
        self._standards = Standards()

    def warm(self) -> None:
        """Compute the standards and the index of paths before the first request."""
        rows = self._table.rows()
        self._standards.of(rows, ("", ""))
        rows.at("")

    def compared(self, entries: Iterable[IndexEntry]) -> models.ComparisonView | None:
        """The best evaluation among a model's requests, compared with others; None if there is nothing to compare.

        Beside reading the table, makes at most two round trips to Redis, for a model with a base model.
        """
        rows = self._table.rows()
        own = best_of(_lines(rows, entries))
        if not isinstance(own, RequestRow):
            return None
        category = str(own.values["category"])
        standard = self._standards.of(rows, (category, rows.group_of(own)))
        base, best = self._base(rows, own), standard.best_but(own.model)
        others = [
            *([_other("base", base)] if base is not None else []),
            *([_other("best", best)] if best is not None else []),
            *([_median(standard)] if standard.models > 1 else []),
        ]
        if not others:
            return None
        return models.ComparisonView(model=own.model, path=own.path, category=category, own=_scores(own), others=others)

    def _base(self, rows: RequestRows, own: RequestRow) -> ComparableEvaluation | None:
        name = str(own.values["base"] or "")
        if not name or name.casefold() == own.model.casefold():
            return None
        entries = [entry for entry in self._table.context.index.of_model(name) if not entry.is_private]
        group, lines = rows.group_of(own), _lines(rows, entries, flagged=False)
        return best_of([line for line in lines if rows.group_of(line) == group])


def _lines(rows: RequestRows, entries: Iterable[IndexEntry], *, flagged: bool = True) -> list[RequestRow]:
    """The rows of `entries` that have one; without flagged ones unless `flagged`."""
    numbers = (rows.at(entry.path) for entry in entries)
    return [rows.lines[at] for at in numbers if at is not None and (flagged or at not in rows.flagged)]


def _scores(evaluation: ComparableEvaluation) -> models.ScoresView:
    return models.ScoresView(average=evaluation.average or 0.0, benchmarks=dict(evaluation.benchmarks))


def _other(reference: models.Reference, evaluation: ComparableEvaluation) -> models.ReferenceScoresView:
    path = evaluation.path if isinstance(evaluation, RequestRow) else ""
    return models.ReferenceScoresView(what=reference, model=evaluation.model, path=path, **dict(_scores(evaluation)))


def _median(standard: CategoryStandard) -> models.ReferenceScoresView:
    return models.ReferenceScoresView(
        what="middle",
        among=standard.models,
        average=standard.average or 0.0,
        benchmarks=dict(standard.benchmarks),
    )
