"""The queue: waiting, held and running requests, and on the page the newest ended ones."""

from dataclasses import dataclass
from typing import Annotated

from fastapi import Query

from bot.read_models.models import QueueResponse
from bot.web.api import Limit
from bot.web.board import BoardReader
from bot.web.incoming import MAX_NUMBER, number
from bot.web.live import SHOWN
from bot.web.page import Page
from bot.web.pages.requests import SearchQuery, search

ENDED_ROWS = 8
"""Rows of each list of ended requests."""


@dataclass(frozen=True)
class QueueQuery:
    """Which part of the queue is shown."""

    after: Annotated[int, Query(ge=0, le=MAX_NUMBER, description="number of waiting requests to skip")] = 0
    held_after: Annotated[int, Query(ge=0, le=MAX_NUMBER, description="number of held requests to skip")] = 0
    limit: Limit = 100


def queue(board: BoardReader, query: QueueQuery) -> QueueResponse:
    """Waiting requests in order, with position and estimated start; held ones, and why; running ones, and their
    progress."""
    return board.pages.queue(after=query.after, held_after=query.held_after, limit=query.limit)


def _ended(board: BoardReader, _query: QueueQuery, _view: QueueResponse) -> dict[str, object]:
    rows = board.table.rows()
    return {
        "finished": search(board, SearchQuery(state="finished", limit=ENDED_ROWS)).requests,
        "failed": search(board, SearchQuery(state="failed", limit=ENDED_ROWS)).requests,
        "counts": {"finished": rows.count("finished"), "failed": rows.count("failed"), "all": len(rows.lines)},
    }


PAGE = Page(
    "/queue",
    "queue",
    queue,
    QueueQuery,
    query_of_page=lambda request, _: QueueQuery(number(request, "after", 0), number(request, "held_after", 0), SHOWN),
    more_values=_ended,
    menu="Queue",
    api_path="/api/queue",
    summary="The queue",
    tag="api",
)
