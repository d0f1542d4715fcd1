"""The page of waiting and evaluation times, its JSON counterpart, and the charts: each an SVG at its own address."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path, Query, Request
from fastapi.responses import Response

from bot.web.answers import answer, tagged
from bot.web.api import NOT_MODIFIED, PROBLEMS
from bot.web.board import BoardReader
from bot.web.charts import models
from bot.web.charts.drawing import POLICY, WIDTHS, draw
from bot.web.charts.pictures import PICTURES, day_words, scores
from bot.web.charts.serializers import chart_context
from bot.web.charts.times import DEFAULT_DAYS
from bot.web.charts.words import ENDS, short_span
from bot.web.frame import Frame
from bot.web.incoming import choice
from leaderboard.timings import PERIODS

CACHE_HEADERS = {
    "cache-control": "public, max-age=60",
    "x-content-type-options": "nosniff",
    "content-security-policy": POLICY,
}
"""A chart may be a minute old; then its ETag tells whether there is a newer one."""


def chart_routes(views: BoardReader, frame: Frame) -> APIRouter:
    """The routes of one board."""
    routes = APIRouter()

    @routes.get("/times", include_in_schema=False)
    def times(request: Request) -> Response:
        days = _days(request)
        timings = views.times.times(days)
        pictures = {
            name: chart_context(PICTURES[name](timings), f"/charts/{name}.svg?days={days}&") for name in PICTURES
        }
        return frame.page(
            request,
            "times",
            found=timings,
            pictures=pictures,
            lengths=PERIODS,
            span=short_span,
            day=day_words,
            ENDS=ENDS,
        )

    @routes.get(
        "/api/times",
        summary="How long things take",
        tags=["board"],
        response_model=models.TimingsResponse,
        responses={**PROBLEMS, **NOT_MODIFIED},
    )
    def api_times(
        request: Request,
        days: Annotated[
            int, Query(description="period to count: 7, 30 or 90; another number means the next one", ge=1, le=90)
        ] = DEFAULT_DAYS,
    ) -> Response:
        """Usual times by tier and precision, outcomes by day and by who was at fault, and the length of the queue."""
        return answer(request, views.times.times(min(period for period in PERIODS if period >= days)))

    @routes.get("/charts/{name}.svg", include_in_schema=False)
    def picture(request: Request, name: Annotated[str, Path(max_length=20)]) -> Response:
        if name not in PICTURES:
            return Response(status_code=404)
        return _picture(request, views.times.picture(name, _days(request), _width(request)))

    @routes.get("/charts/models/{name:path}", include_in_schema=False)
    def model_picture(request: Request, name: str) -> Response:
        compared = views.compared(name)
        return _picture(request, draw(scores(compared), _width(request)) if compared is not None else None)

    return routes


def _picture(request: Request, svg: bytes | None) -> Response:
    return Response(status_code=404) if svg is None else tagged(request, svg, "image/svg+xml", CACHE_HEADERS)


def _days(request: Request) -> int:
    return int(choice(request, "days", tuple(map(str, PERIODS))) or DEFAULT_DAYS)


def _width(request: Request) -> int:
    return int(choice(request, "width", tuple(map(str, WIDTHS))) or WIDTHS[-1])
