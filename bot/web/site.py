"""All public pages and their JSON. Each page works without a script.

The pages decide and change nothing: people write commands in threads.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any
from urllib.parse import urlencode

import structlog
from fastapi import APIRouter, Request
from fastapi.responses import RedirectResponse, Response
from redis.exceptions import RedisError

from bot.web.board import BoardReader
from bot.web.exports import export_routes
from bot.web.frame import Frame
from bot.web.page import Page, page_routes
from bot.web.pages import (
    about,
    compare,
    flags,
    leaderboard,
    models,
    plots,
    predictions,
    queue,
    requests,
    results,
    seasons,
    threads,
    times,
    workers,
)
from leaderboard.submission_kinds import SubmissionKinds

log = structlog.get_logger()

SUBMIT = "/submit"
"""The page of `bot/web/pages/submit.py`: it is for one person, and has no JSON."""
PAGES: tuple[Page[Any, Any], ...] = (
    leaderboard.TABLE,
    leaderboard.SUGGESTIONS,
    compare.PAGE,
    plots.PAGE,
    queue.PAGE,
    results.TABLE,
    requests.LIST,
    requests.ONE,
    models.MODEL,
    flags.PAGE,
    predictions.PAGE,
    seasons.PAGE,
    workers.PAGE,
    times.PAGE,
    threads.COMMANDS,
    threads.DECISIONS,
    threads.WAITING,
    about.PAGE,
)
"""Every page; the menu shows those with a menu name in this order."""
OF_MODELS = ("Workers", "Plots", "Times")
"""Pages about workers and sizes of models, which the menu of a board of predictions alone leaves out."""
FIRST = ("Leaderboard", "Submit", "Queue", "About")
"""The pages that the menu shows at once; the others are under "More"."""


class Menu:
    """The address and the name of each page in the menu of a board that `takes` these submissions."""

    def __init__(self, pages: Iterable[Page[Any, Any]], takes: SubmissionKinds) -> None:
        left_out = {*(() if takes.seasons else ("Seasons",)), *(() if takes.models else OF_MODELS)}
        named = {page.menu: page.path for page in pages if page.menu and page.menu not in left_out}
        named["Submit"] = SUBMIT if takes.models else predictions.PAGE.path
        self.first = [(named[name], name) for name in FIRST if name in named]
        self.more = [(path, name) for name, path in named.items() if name not in FIRST]


def site_routes(board: BoardReader, frame: Frame) -> APIRouter:
    """The routes of all pages of one board."""
    routes = APIRouter()
    routes.add_api_route("/results", moved_results, include_in_schema=False)
    routes.include_router(export_routes(board))
    for page in PAGES:
        routes.include_router(page_routes(page, board, frame))
    return routes


def moved_results(request: Request) -> Response:
    """Redirect from the former page of results to the leaderboard."""
    fields = [("type" if name == "category" else name, value) for name, value in request.query_params.multi_items()]
    query = urlencode([(name, value.encode("utf-8", "replace")) for name, value in fields if value])
    return RedirectResponse(f"/?{query}" if query else "/", 308)


def warm(board: BoardReader) -> None:
    """Build the table and the first view of each page before the first request: at 100,000 rows that takes seconds."""
    try:
        board.table.rows().prepare(board.columns)
        board.comparing.warm()
        for page in PAGES:
            if page.api_path and "{" not in page.path:
                page.read(board, page.query())
    except RedisError:  # the first request reads again, and reports the error
        log.warning("the table could not be read at the start", exc_info=True)
