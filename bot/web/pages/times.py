"""How long requests wait and evaluations take; and the charts of this page and of models, as SVG."""

from dataclasses import dataclass
from typing import Annotated

from fastapi import APIRouter, Path, Query, Request
from fastapi.responses import Response

from bot.web.answers import tagged
from bot.web.board import BoardReader
from bot.web.charts.drawing import POLICY, WIDTHS, draw
from bot.web.charts.models import TimingsResponse
from bot.web.charts.pictures import PICTURES, chart_context, day_words, scores
from bot.web.charts.times import DEFAULT_DAYS
from bot.web.charts.words import ENDS, short_span
from bot.web.incoming import choice
from bot.web.page import Page
from leaderboard.timings import PERIODS

CACHE_HEADERS = {
    "cache-control": "public, max-age=60",
    "x-content-type-options": "nosniff",
    "content-security-policy": POLICY,
}
"""Caches may keep a chart for a minute; then its ETag shows whether it has changed."""


@dataclass(frozen=True)
class TimesQuery:
    """The period to count."""

    days: Annotated[
        int, Query(description="period to count: 7, 30 or 90; another number means the next one", ge=1, le=90)
    ] = DEFAULT_DAYS


def times(board: BoardReader, query: TimesQuery) -> TimingsResponse:
    """Usual times by tier and precision, outcomes by day and by who was at fault, and the length of the queue."""
    return board.times.times(min(period for period in PERIODS if period >= query.days))


def _charts(_board: BoardReader, query: TimesQuery, view: TimingsResponse) -> dict[str, object]:
    pictures = {
        name: chart_context(picture(view), f"/charts/{name}.svg?days={query.days}&")
        for name, picture in PICTURES.items()
    }
    return {"pictures": pictures, "lengths": PERIODS, "span": short_span, "day": day_words, "ENDS": ENDS}


PAGE = Page(
    "/times",
    "times",
    times,
    TimesQuery,
    query_of_page=lambda request, _: TimesQuery(_days(request)),
    more_values=_charts,
    menu="Times",
    api_path="/api/times",
    summary="How long things take",
    operation="api_times",
)


def chart_routes(board: BoardReader) -> APIRouter:
    """The routes of the charts."""
    routes = APIRouter(include_in_schema=False)

    @routes.get("/charts/{name}.svg")
    def picture(request: Request, name: Annotated[str, Path(max_length=20)]) -> Response:
        if name not in PICTURES:
            return Response(status_code=404)
        return _picture(request, board.times.picture(name, _days(request), _width(request)))

    @routes.get("/charts/models/{name:path}")
    def model_picture(request: Request, name: str) -> Response:
        compared = board.comparing.compared(board.public_entries(name))
        return _picture(request, draw(scores(compared), _width(request)) if compared is not None else None)

    return routes


def _picture(request: Request, svg: bytes | None) -> Response:
    return Response(status_code=404) if svg is None else tagged(request, svg, "image/svg+xml", CACHE_HEADERS)


def _days(request: Request) -> int:
    return int(choice(request, "days", tuple(map(str, PERIODS))) or DEFAULT_DAYS)


def _width(request: Request) -> int:
    return int(choice(request, "width", tuple(map(str, WIDTHS))) or WIDTHS[-1])
