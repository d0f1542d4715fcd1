"""The leaderboard as data: the query for a part of it, and each evaluation as a row.

The page, the API, files, model pages and the snapshot for a static Space show the same rows.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Literal

from fastapi import Query
from pydantic import ConfigDict, Field

from bot.read_models.models import ApiModel
from bot.web.board import BoardReader, SearchView, searched
from bot.web.leaderboard_columns import ColumnView, standard_columns
from bot.web.leaderboard_rows import LeaderboardRows
from bot.web.page import SearchText
from bot.web.request_row import RequestRow, category_of
from bot.web.selection import Selected, Selection
from leaderboard.categories import ModelCategory
from leaderboard.options import precision_named
from leaderboard.predictions import PREDICTIONS, PREDICTIONS_SYMBOL
from leaderboard.result_digests import SHORT_DIGEST
from leaderboard.search import parse
from redis_state.clock import iso

MAX_ROWS, MAX_PINNED, MAX_VALUES, MAX_COLUMNS = 500, 5, 50, 100
"""Rows of one answer, pinned rows, values of one filter, and shown columns: a suite may have fifty benchmarks."""
_SORT_KEYS = {
    "weight_type": "weights",
    "base_model": "base",
    "submitted": "time",
    "chat_template": "chat",
}
"""Column → its name in the rows, where they differ."""


def columns_of(board: BoardReader) -> list[ColumnView]:
    """All columns of a board, in order; ranges of ranks only where there are any."""
    return standard_columns(board.columns, ranges=board.table.leaderboard().has_errors, takes=board.context.takes)


class LeaderboardRowView(ApiModel):
    """One evaluation. Scores are 0-100; `parameters` in billions; a fact that the board does not know is null or ""."""

    id: str = Field(description="of the evaluation: stays the same, and can be pinned")
    path: str = Field(description="path of its request; empty for a row by another program")
    rank: int = Field(description="among the selected evaluations, by average; equal ones share a rank")
    rank_range: tuple[int, int] | None = Field(
        description="the ranks that it may have among the selected evaluations, as far as the choice of questions "
        "tells (95 %); null where its standard error is not known"
    )
    model: str
    category: str
    symbol: str = Field(description="the sign of the category")
    flagged: bool
    available: bool = Field(description="whether the model is still on the Hub")
    asked: str = Field(description="beginning of the digest of its questions; empty if its results do not name it")
    other_questions: bool = Field(
        description="whether its questions differ from those of most evaluations, so that scores cannot be compared"
    )
    average: float | None
    scores: dict[str, float]
    errors: dict[str, float] = Field(description="standard errors of the scores, where they are known")
    parameters: float | None
    precision: str
    weight_type: str
    architecture: str
    licence: str
    likes: int | None
    submitted: str
    uploaded: str
    chat_template: bool | None
    base_model: str
    generation: int | None
    co2: float | None
    revision: str
    merged: bool
    moe: bool
    official: bool


class LeaderboardResponse(ApiModel):
    """A part of the leaderboard: `rows` from number `offset` on, of `count` that were selected."""

    model_config = ConfigDict(frozen=True)

    searched: SearchView
    columns: list[ColumnView]
    rows: list[LeaderboardRowView]
    pinned: list[LeaderboardRowView] = Field(description="the pinned evaluations, whether they match or not")
    offset: int
    count: int = Field(description="number of selected evaluations")
    total: int = Field(description="number of all evaluations")
    flagged: int = Field(description="number of further matches that are left out because they are flagged")
    rebuilding: bool = Field(description="whether scores of finished requests are still being read from the Hub")


@dataclass(frozen=True)
class LeaderboardQuery:
    """A selection of evaluations, their order, and which part of them to return."""

    q: SearchText = ""
    type: Annotated[list[ModelCategory] | None, Query(description="only these categories", max_length=MAX_VALUES)] = (
        None
    )
    precision: Annotated[list[str] | None, Query(description="only these precisions", max_length=MAX_VALUES)] = None
    smallest: Annotated[float | None, Query(ge=0, le=1e6, description="least parameters, in billions")] = None
    largest: Annotated[float | None, Query(ge=0, le=1e6, description="most parameters, in billions")] = None
    merges: Annotated[bool, Query(description="whether to include merges")] = True
    moe: Annotated[bool, Query(description="whether to include mixtures of experts")] = True
    flagged: Annotated[bool, Query(description="whether to include flagged models")] = False
    deleted: Annotated[bool, Query(description="whether to include models that are gone from the Hub")] = False
    official: Annotated[bool, Query(description="only models of official providers")] = False
    per: Annotated[
        Literal["evaluation", "model"], Query(description="a row for each evaluation, or for the best of each model")
    ] = "evaluation"
    raw: Annotated[bool, Query(description="scores as measured, not normalised")] = False
    sort: Annotated[str, Query(max_length=60, description="key of a column; another one means the average")] = "average"
    rising: bool = False
    pin: Annotated[
        list[str] | None, Query(description="ids of evaluations to return in any case", max_length=MAX_VALUES)
    ] = None
    offset: Annotated[int, Query(ge=0, le=10_000_000)] = 0
    limit: Annotated[int, Query(ge=1, le=MAX_ROWS)] = 100
    column: Annotated[
        list[str] | None,
        Query(
            description="keys of the shown columns; the average is of the benchmarks among them, or of all without any",
            max_length=MAX_COLUMNS,
        ),
    ] = None

    def selection(self, board: BoardReader) -> Selection:
        """The query's selection of rows."""
        keys = {column.key for column in columns_of(board) if column.kind != "range"}
        sort = self.sort if self.sort in keys else "average"
        return Selection(
            query=self.q,
            categories=tuple(sorted(category.value for category in self.type or ())),
            precisions=tuple(sorted(precision_named(name) for name in self.precision or ())),
            smallest=self.smallest,
            largest=self.largest,
            merges=self.merges,
            experts=self.moe,
            flagged=self.flagged,
            deleted=self.deleted,
            official=self.official,
            per_model=self.per == "model",
            raw=self.raw,
            benchmarks=tuple(name for name in board.columns if name in (self.column or ())),
            sort=_SORT_KEYS.get(sort, sort),
            rising=self.rising,
        )


def leaderboard(board: BoardReader, query: LeaderboardQuery) -> LeaderboardResponse:
    """The leaderboard: evaluations with rank, scores and facts, the best first by default."""
    rows, terms = board.table.leaderboard(), parse(query.q)
    selected = rows.select(query.selection(board), terms)
    count = len(selected.order)
    offset = min(query.offset, max(0, count - 1) // query.limit * query.limit)
    shown = selected.order[offset : offset + query.limit].tolist()
    pinned = (at for at in map(rows.at, list(dict.fromkeys(query.pin or ()))[:MAX_PINNED]) if at is not None)
    return LeaderboardResponse(
        searched=searched(board.table.rows(), query.q, terms, count),
        columns=columns_of(board),
        rows=row_views(rows, selected, shown),
        pinned=row_views(rows, selected, list(pinned)),
        offset=offset,
        count=count,
        total=len(rows.lines),
        flagged=selected.flagged,
        rebuilding=board.is_rebuilding(),
    )


def row_views(rows: LeaderboardRows, selected: Selected, numbers: Sequence[int]) -> list[LeaderboardRowView]:
    """The evaluations with these numbers, with their ranks and ranges of ranks among the selected ones."""
    ranges = rows.ranges(selected, numbers)
    return [row_view(rows, selected, at, ranges.get(at)) for at in numbers]


def row_view(
    rows: LeaderboardRows, selected: Selected, at: int, rank_range: tuple[int, int] | None
) -> LeaderboardRowView:
    """The evaluation number `at` with its rank among the selected ones, and this range of ranks."""
    line: RequestRow = rows.lines[at]
    values, facts, (category, symbol) = line.values, line.facts, _category_and_symbol(line)
    average, parameters = float(selected.averages[at]), values["parameters"]
    return LeaderboardRowView(
        id=line.id or line.path,
        path=line.path,
        rank=int(selected.ranks[at]),
        rank_range=rank_range,
        model=line.model,
        category=category,
        symbol=symbol,
        flagged=bool(rows.flagged[at]),
        available=facts.available,
        asked=line.asked[:SHORT_DIGEST],
        other_questions=rows.asks_others(line),
        average=None if math.isnan(average) else average,
        scores=_scores(line, selected.selection),
        errors=_errors(rows, line, selected.selection),
        parameters=parameters if isinstance(parameters, float) else None,
        precision=str(values["precision"]),
        weight_type=str(values["weights"]),
        architecture=str(values["architecture"] or ""),
        licence=str(values["licence"] or ""),
        likes=facts.likes,
        submitted=iso(line.time)[:10] if 0 < line.time < 1e11 else "",
        uploaded=facts.uploaded[:10],
        chat_template=facts.chat_template,
        base_model=facts.base_model or str(values["base"] or ""),
        generation=facts.generation,
        co2=facts.co2,
        revision=str(values["revision"]),
        merged=line.is_merge,
        moe=facts.moe,
        official=facts.official,
    )


def _category_and_symbol(line: RequestRow) -> tuple[str, str]:
    """The category of the row's model and its sign; predictions, which are no model, have their own."""
    if line.values["precision"] == PREDICTIONS:
        return PREDICTIONS, PREDICTIONS_SYMBOL
    category = category_of(line)
    return category.value, category.symbol


def _scores(line: RequestRow, selection: Selection) -> dict[str, float]:
    """The score of each benchmark, in 0-100: normalised, or as measured."""
    if selection.raw:
        return {name: 100 * value for name, value in line.facts.raw.items()}
    return dict(line.benchmarks)


def _errors(rows: LeaderboardRows, line: RequestRow, selection: Selection) -> dict[str, float]:
    """The standard errors of the normalised scores, and of the average of the selected benchmarks."""
    if selection.raw or not line.errors:
        return {}
    errors = dict(line.errors)
    if selection.benchmarks and len(selection.benchmarks) < len(rows.benchmarks):
        errors.pop("average", None)
        parts = [errors[name] for name in selection.benchmarks if name in errors]
        if len(parts) == len(selection.benchmarks):
            errors["average"] = math.hypot(*parts) / len(parts)
    return errors
