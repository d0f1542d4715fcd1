"""Readers of the whole board that its pages share: of the table of requests, the queue, flags, charts, scores."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from pydantic import ConfigDict, Field

from bot.core.context import BoardContext
from bot.read_models.lists import QueueReader
from bot.read_models.models import PATH, ApiModel
from bot.web.charts.comparing import Comparing
from bot.web.charts.plots import PlotReader
from bot.web.charts.times import TimingReader
from bot.web.flags import FlagReader
from bot.web.lineage import LineageReader
from bot.web.request_row import RequestRow, category_of
from bot.web.rows import RequestRows
from bot.web.table import RequestTable
from leaderboard.flag_categories import CATEGORIES
from leaderboard.search import MisreadTerm, Query, fold
from redis_state.board.entry import IndexEntry
from redis_state.clock import iso

MAX_RENAMES = 10
"""Most successive renames of a model that are followed."""
SCORES_EXAMPLE: dict[str, Any] = {
    "path": PATH,
    "model": "ada/tiny",
    "category": "chat",
    "precision": "float16",
    "revision": "5f6b6d1a3a1f0a3f6f8e5b8b5c9d9a4f1c2e3d4b",
    "licence": "apache-2.0",
    "parameters": 0.135,
    "average": 31.4,
    "benchmarks": {"Boolean Expressions": 52.5},
    "flagged": False,
    "submitted": "2026-11-24T12:00:00Z",
}


class SearchView(ApiModel):
    """The outcome of a search: the number of matches, and similar names if there are none."""

    query: str
    count: int
    near: list[str] = Field(default_factory=list)
    misread: list[MisreadTerm] = Field(default_factory=list)


class EvaluationScoresView(ApiModel):
    """One evaluation. Scores are 0-100; `parameters` in billions."""

    model_config = ConfigDict(frozen=True, json_schema_extra={"examples": [SCORES_EXAMPLE]})

    path: str
    model: str
    category: str
    precision: str
    revision: str = Field(description="the commit that was evaluated: a newer one may wait, or have failed")
    licence: str
    parameters: float | None
    average: float
    benchmarks: dict[str, float]
    flagged: bool
    submitted: str | None


class BoardReader:
    """The readers of one board, which its pages share between threads."""

    def __init__(self, context: BoardContext) -> None:
        self.context = context
        self.table = RequestTable(context)
        self.pages = QueueReader(context)
        self.columns = [benchmark.name for benchmark in context.suite.benchmarks]
        self.times = TimingReader(context)
        self.comparing = Comparing(self.table)
        self.flags = FlagReader(context.flag_book)
        self.plots = PlotReader(self.table)
        self.lineage = LineageReader(self.table)

    def public_entries(self, model: str) -> list[IndexEntry]:
        """All public requests of a model. Case does not matter."""
        return [entry for entry in self.context.index.of_model(model) if not entry.is_private]

    def renamed(self, model: str) -> str:
        """The present name of a model that was renamed, if it has public requests; else ""."""
        for _ in range(MAX_RENAMES):
            model = self.context.index.renamed(model)
            if not model or self.public_entries(model):
                return model
        return ""

    def button_values(self) -> dict[str, object]:
        """The facts about the board that the buttons of a page need; no flag categories without a flags repo."""
        board = self.context.board
        categories = (
            [(category.name, category.words) for category in CATEGORIES.values()] if self.context.flags_repo else []
        )
        return {"flag_categories": categories, "has_model_pages": bool(board.model_pages)}

    def scores_of(self, entry: IndexEntry) -> EvaluationScoresView | None:
        """The scores of a request; None if it was not evaluated."""
        rows = self.table.rows()
        at = rows.at(entry.path)
        if at is None or rows.lines[at].average is None:
            return None
        return scores_view(rows.lines[at], flagged=at in rows.flagged)

    def is_rebuilding(self) -> bool:
        """Whether requests have finished, but no scores have been read from the Hub since Redis was empty."""
        rows = self.table.rows()
        return not rows.with_scores and rows.count("finished") > 0 and not self.context.scores.state()[0]


def scores_view(line: RequestRow, *, flagged: bool) -> EvaluationScoresView:
    """One row of the table of results."""
    values, average = line.values, line.average
    assert average is not None
    parameters = values["parameters"]
    return EvaluationScoresView(
        path=line.path,
        model=line.model,
        category=category_of(line).value,
        precision=str(values["precision"]),
        revision=str(values["revision"]),
        licence=str(values["licence"]),
        parameters=parameters if isinstance(parameters, float) else None,
        average=average,
        benchmarks=dict(line.benchmarks),
        flagged=flagged,
        submitted=iso(line.time) if 0 < line.time < 1e11 else None,
    )


def page_of(order: Sequence[int], page: int, size: int) -> tuple[int, int, Sequence[int]]:
    """The number of the existing page nearest to `page`, the number of pages, and the rows on that page."""
    pages = max(1, math.ceil(len(order) / size))
    page = min(max(1, page), pages)
    return page, pages, order[(page - 1) * size : page * size]


def searched(rows: RequestRows, q: str, query: Query, count: int) -> SearchView:
    """The outcome of the search `q`, which was parsed as `query` and matches `count` rows."""
    near = [] if count or not query.names else rows.near(query)
    # A name that contains a searched one matches already: something else in the search, or a filter, hides it.
    near = [name for name in near if not any(wanted in fold(name) for wanted in query.names)]
    return SearchView(query=q[:1_000], count=count, near=near, misread=list(query.misread))
