"""Averages against parameters with the best front, and over time; the same charts as SVG to embed."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any
from urllib.parse import urlencode

from fastapi import APIRouter, Query, Request
from fastapi.responses import Response
from pydantic import Field

from bot.read_models.models import ApiModel
from bot.web.answers import tagged
from bot.web.board import BoardReader, page_of
from bot.web.charts.drawing import WIDTHS
from bot.web.charts.pictures import chart_context
from bot.web.charts.plots import KINDS, By
from bot.web.incoming import choice, number
from bot.web.leaderboard_rows import LeaderboardRows
from bot.web.page import Page, PageNumber, PageSize
from bot.web.pages.times import CACHE_HEADERS
from bot.web.request_row import category_of
from leaderboard.categories import ModelCategory
from redis_state.clock import iso

ROWS = 100
"""Rows on one page of the table of figures."""


class DotView(ApiModel):
    """One dot: an evaluation; `best` if no dot to its left is as high."""

    model: str
    path: str
    precision: str
    category: str
    parameters: float | None
    submitted: str
    average: float
    best: bool


class PlotsResponse(ApiModel):
    """One plot: the dots that are drawn, those on the line of the best first."""

    by: By
    type: ModelCategory | None
    title: str
    says: str = Field(description="the plot in a sentence")
    count: int = Field(description="number of evaluations, or of models; of dots that lie close together one is drawn")
    drawn: int
    dots: list[DotView]
    page: int
    pages: int


@dataclass(frozen=True)
class PlotsQuery:
    """Which plot, of which models, and which part of its figures."""

    by: Annotated[By, Query(description="what the average is plotted against")] = "parameters"
    type: Annotated[ModelCategory | None, Query(description="only models of this category")] = None
    page: PageNumber = 1
    limit: PageSize = ROWS


def plots(board: BoardReader, query: PlotsQuery) -> PlotsResponse:
    """The average against parameters, of each model's best evaluation, or over time, of every evaluation."""
    plot = board.plots.plot(query.by, query.type)
    page, pages, part = page_of(plot.dots, query.page, query.limit)
    return PlotsResponse(
        by=query.by,
        type=query.type,
        title=plot.scatter.title if plot.scatter is not None else "",
        says=plot.scatter.says if plot.scatter is not None else "",
        count=plot.count,
        drawn=len(plot.dots),
        dots=[_dot(plot.rows, at, best=at in plot.front) for at in part],
        page=page,
        pages=pages,
    )


def _dot(rows: LeaderboardRows, at: int, *, best: bool) -> DotView:
    line = rows.lines[at]
    parameters = line.values["parameters"]
    return DotView(
        model=line.model,
        path=line.path,
        precision=str(line.values["precision"]),
        category=category_of(line).value,
        parameters=parameters if isinstance(parameters, float) else None,
        submitted=iso(line.time)[:10] if 0 < line.time < 1e11 else "",
        average=line.average or 0.0,
        best=best,
    )


def _query_of_page(request: Request, _board: BoardReader) -> PlotsQuery:
    return PlotsQuery(
        by=choice(request, "by", KINDS) or "parameters", type=_category(request), page=number(request, "page", 1)
    )


def _category(request: Request) -> ModelCategory | None:
    name = choice(request, "type", tuple(category.value for category in ModelCategory))
    return ModelCategory(name) if name else None


def _page_values(board: BoardReader, query: PlotsQuery, _view: PlotsResponse) -> Mapping[str, Any]:
    plot = board.plots.plot(query.by, query.type)
    filtered = urlencode({"type": query.type.value}) + "&" if query.type is not None else ""
    address = f"/charts/plots/{query.by}.svg?{filtered}"
    return {
        "chart": chart_context(plot.scatter, address),
        "embed": f"{board.context.pages_url}{address}width={WIDTHS[1]}",
        "categories": ModelCategory,
        "kinds": {"parameters": "By parameters", "time": "Over time"},
    }


PAGE = Page(
    "/plots",
    "plots",
    plots,
    PlotsQuery,
    query_of_page=_query_of_page,
    more_values=_page_values,
    menu="Plots",
    api_path="/api/plots",
    summary="Averages against parameters, and over time",
)


def plot_routes(board: BoardReader) -> APIRouter:
    """The routes of the plots as SVG."""
    routes = APIRouter(include_in_schema=False)

    @routes.get("/charts/plots/{by}.svg")
    def plot(request: Request, by: str) -> Response:
        kind = next((known for known in KINDS if known == by), None)
        width = int(choice(request, "width", tuple(map(str, WIDTHS))) or WIDTHS[-1])
        svg = board.plots.chart(kind, _category(request), width) if kind is not None else None
        return Response(status_code=404) if svg is None else tagged(request, svg, "image/svg+xml", CACHE_HEADERS)

    return routes
