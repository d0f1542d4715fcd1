"""The page of how long things take, its twin, and every picture: each an SVG at an address of its own."""

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
from bot.web.charts.times import USUAL
from bot.web.charts.words import ENDS, short_span
from bot.web.frame import Frame
from bot.web.incoming import choice
from leaderboard.timings import PERIODS

CACHE_HEADERS = {
    "cache-control": "public, max-age=60",
    "x-content-type-options": "nosniff",
    "content-security-policy": POLICY,
}
"""A picture may be as old as a minute; then its ETag tells whether there is another."""
LENGTHS = tuple(map(str, PERIODS))


def chart_routes(views: BoardReader, frame: Frame) -> APIRouter:
    """The routes of one board."""
    routes = APIRouter()

    @routes.get("/times", include_in_schema=False)
    def times(request: Request) -> Response:
        length = _length(request)
        found = views.times.times(length)
        pictures = {
            name: chart_context(PICTURES[name](found), f"/charts/{name}.svg?days={length}&") for name in PICTURES
        }
        return frame.page(
            request,
            "times",
            found=found,
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
            int, Query(description="to look back: 7, 30 or 90, else the next of them", ge=1, le=90)
        ] = USUAL,
    ) -> Response:
        """What is usual by tier and precision, what ended each day and whose fault it was, how long the queue was."""
        return answer(request, views.times.times(min(one for one in PERIODS if one >= days)))

    @routes.get("/charts/{name}.svg", include_in_schema=False)
    def picture(request: Request, name: Annotated[str, Path(max_length=20)]) -> Response:
        if name not in PICTURES:
            return Response(status_code=404)
        return _picture(request, views.times.picture(name, _length(request), _width(request)))

    @routes.get("/charts/models/{name:path}", include_in_schema=False)
    def model_picture(request: Request, name: str) -> Response:
        compared = views.compared(name)
        return _picture(request, draw(scores(compared), _width(request)) if compared is not None else None)

    return routes


def _picture(request: Request, svg: bytes | None) -> Response:
    return Response(status_code=404) if svg is None else tagged(request, svg, "image/svg+xml", CACHE_HEADERS)


def _length(request: Request) -> int:
    return int(choice(request, "days", LENGTHS) or USUAL)


def _width(request: Request) -> int:
    return int(choice(request, "width", tuple(map(str, WIDTHS))) or WIDTHS[-1])
