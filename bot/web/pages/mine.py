"""`/mine`: the submissions of the person who is signed in, and how many more they may submit now."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from fastapi import APIRouter, Request
from fastapi.responses import Response

from bot.model_facts.board_facts import counted_submissions
from bot.read_models.lists import BadCursor
from bot.read_models.models import QueuePositionView, RequestSummaryView
from bot.read_models.queue_snapshot import take_snapshot
from bot.read_models.serializers import place
from bot.web.board import BoardReader
from bot.web.frame import Frame
from bot.web.incoming import words
from bot.web.page import PAGE_ROWS
from bot.web.visitors import Visitors


@dataclass(frozen=True)
class OwnRequest:
    """One request, its position in the queue, and its average score."""

    request: RequestSummaryView
    place: QueuePositionView | None = None
    is_held: bool = False
    score: float | None = None


@dataclass(frozen=True)
class Quota:
    """The number of models that the person may submit in `days`, and of those that they submitted."""

    limit: int
    used: int
    days: float

    @property
    def left(self) -> int:
        """The number of models that they may submit now."""
        return max(0, self.limit - self.used)


def own_requests(board: BoardReader, requests: Sequence[RequestSummaryView]) -> list[OwnRequest]:
    """The requests with their positions and scores, in the same order."""
    snapshot, entries = take_snapshot(board.context), board.context.index.find([request.path for request in requests])
    own = []
    for request, entry in zip(requests, entries, strict=True):
        outlook = snapshot.outlook(request.path) if request.state == "waiting" else None
        scores = board.scores_of(entry) if entry is not None else None
        own.append(
            OwnRequest(
                request,
                place=place(outlook) if outlook is not None and outlook.position is not None else None,
                is_held=bool(entry and entry.waits_for_retry) or (outlook is not None and outlook.held is not None),
                score=scores.average if scores is not None else None,
            )
        )
    return own


def quota_of(board: BoardReader, name: str) -> Quota | None:
    """The quota of the account `name`; None if the board limits no submissions of theirs."""
    policy = board.context.board.admission
    limit = policy.quota_of(name) if policy.holds("quota-submitter") else None
    if limit is None:
        return None
    return Quota(limit, counted_submissions(board.context, name), policy.quota_days)


def mine_routes(board: BoardReader, visitors: Visitors, frame: Frame) -> APIRouter:
    """The route of the page."""
    routes = APIRouter(include_in_schema=False)

    @routes.get("/mine")
    def mine(request: Request) -> Response:
        visitor = visitors.of(request)
        if visitor is None:
            return frame.page(request, "mine", requests=[], quota=None, next=None)
        try:
            page = board.pages.requests(submitter=visitor.name, cursor=words(request, "cursor"), limit=PAGE_ROWS)
        except BadCursor:
            page = board.pages.requests(submitter=visitor.name, limit=PAGE_ROWS)
        own, quota = own_requests(board, page.requests), quota_of(board, visitor.name)
        return frame.page(request, "mine", alone=True, requests=own, quota=quota, next=page.next)

    return routes
