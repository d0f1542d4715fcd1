"""The charts of the pages: each an SVG at its own address."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path, Request
from fastapi.responses import Response

from bot.web.answers import tagged
from bot.web.board import BoardReader
from bot.web.charts.drawing import POLICY, WIDTHS, draw
from bot.web.charts.pictures import PICTURES, scores
from bot.web.charts.times import DEFAULT_DAYS
from bot.web.incoming import choice
from leaderboard.timings import PERIODS

CACHE_HEADERS = {
    "cache-control": "public, max-age=60",
    "x-content-type-options": "nosniff",
    "content-security-policy": POLICY,
}
"""A chart may be a minute old; then its ETag tells whether there is a newer one."""


def chart_routes(board: BoardReader) -> APIRouter:
    """The routes of one board."""
    routes = APIRouter(include_in_schema=False)

    @routes.get("/charts/{name}.svg")
    def picture(request: Request, name: Annotated[str, Path(max_length=20)]) -> Response:
        if name not in PICTURES:
            return Response(status_code=404)
        return _picture(request, board.times.picture(name, days_of(request), _width(request)))

    @routes.get("/charts/models/{name:path}")
    def model_picture(request: Request, name: str) -> Response:
        compared = board.comparing.compared(board.public_entries(name))
        return _picture(request, draw(scores(compared), _width(request)) if compared is not None else None)

    return routes


def _picture(request: Request, svg: bytes | None) -> Response:
    return Response(status_code=404) if svg is None else tagged(request, svg, "image/svg+xml", CACHE_HEADERS)


def days_of(request: Request) -> int:
    """The period that a page or a chart counts, one of PERIODS; DEFAULT_DAYS if the query names no such period."""
    return int(choice(request, "days", tuple(map(str, PERIODS))) or DEFAULT_DAYS)


def _width(request: Request) -> int:
    return int(choice(request, "width", tuple(map(str, WIDTHS))) or WIDTHS[-1])
