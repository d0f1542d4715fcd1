"""All public pages and their JSON. Each page works without a script.

The pages decide and change nothing: people write commands in threads.
"""

from __future__ import annotations

from typing import Any

import structlog
from fastapi import APIRouter
from redis.exceptions import RedisError

from bot.web.board import BoardReader
from bot.web.frame import Frame
from bot.web.page import Page, page_routes
from bot.web.pages import flags, queue, requests, results, threads, times, workers

log = structlog.get_logger()

PAGES: tuple[Page[Any, Any], ...] = (
    queue.PAGE,
    results.TABLE,
    requests.LIST,
    requests.ONE,
    results.MODEL,
    flags.PAGE,
    workers.PAGE,
    times.PAGE,
    threads.COMMANDS,
    threads.DECISIONS,
    threads.WAITING,
)
"""Every page; those with a name in the menu are there in this order."""
MENU = [(page.path, page.menu) for page in PAGES if page.menu]
MENU.insert(2, ("/submit", "Submit"))  # bot/web/pages/submit.py: it is for one person, and has no JSON


def site_routes(board: BoardReader, frame: Frame) -> APIRouter:
    """The routes of all pages of one board."""
    routes = APIRouter()
    for page in PAGES:
        routes.include_router(page_routes(page, board, frame))
    return routes


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
