"""The pages that people look at. Each can be used without a script; what its query says wrong is passed over.

Nothing here decides or changes anything: whoever wants something writes it in a thread.
"""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import Response

from bot.web.board import BoardReader
from bot.web.charts.serializers import model_chart
from bot.web.frame import Frame
from bot.web.incoming import choice, number, words
from bot.web.live import SHOWN
from bot.web.rows import SORTS
from leaderboard.categories import ModelCategory

ROWS, ENDED = 50, 8
"""Rows of a page, and of those that ended on the page of the queue."""
STATES = ("waiting", "running", "finished", "failed", "cancelled", "new", "elsewhere")


def site_routes(views: BoardReader, frame: Frame) -> APIRouter:
    """The pages of one board."""
    routes = APIRouter(include_in_schema=False)

    @routes.get("/")
    def queue(request: Request) -> Response:
        after, held_after = number(request, "after", 0), number(request, "held_after", 0)
        found = views.pages.queue(after=after, held_after=held_after, limit=SHOWN)
        ended = {state: views.requests(state=state, size=ENDED).requests for state in ("finished", "failed")}
        return frame.page(
            request,
            "queue",
            queue=found,
            after=after,
            held_after=held_after,
            size=SHOWN,
            ended=ended,
            counts=views.counts(),
        )

    @routes.get("/requests")
    def requests(request: Request) -> Response:
        q, state = words(request, "q"), choice(request, "state", STATES)
        found = views.requests(q=q, state=state, page=number(request, "page", 1), size=ROWS)
        return frame.page(request, "requests", found=found, q=q, state=state, states=STATES)

    @routes.get("/requests/{path:path}")
    def one(request: Request, path: str) -> Response:
        found = views.history(path)
        if found is None:
            return missing(request, "request", path)
        return frame.page(request, "request", found=found, one=found.request, columns=views.columns)

    @routes.get("/models/{name:path}")
    def model(request: Request, name: str) -> Response:
        found = views.model(name)
        if found is None:
            return missing(request, "model", name)
        chart = model_chart(found.compared)
        return frame.page(request, "model", found=found, columns=views.columns, chart=chart)

    @routes.get("/results")
    def results(request: Request) -> Response:
        precisions = views.context.board.precisions
        asked = {
            "q": words(request, "q"),
            "sort": choice(request, "sort", (*SORTS, *views.columns)) or "average",
            "rising": "1" if words(request, "rising") == "1" else "",
            "category": choice(request, "category", tuple(ModelCategory)),
            "precision": choice(request, "precision", precisions),
            "flagged": "1" if words(request, "flagged") == "1" else "",
        }
        found = views.results(**_read(asked), page=number(request, "page", 1), size=ROWS)
        return frame.page(request, "results", found=found, asked=asked, categories=ModelCategory, precisions=precisions)

    @routes.get("/flags")
    def flags(request: Request) -> Response:
        kept = bool(views.context.board.repos.flags)  # without a repo for them, the bot takes no report
        return frame.page(request, "flags", flags=views.flags().flags, kept=kept)

    @routes.get("/workers")
    def workers(request: Request) -> Response:
        return frame.page(request, "workers", workers=views.workers().workers)

    def missing(request: Request, what: str, name: str) -> Response:
        return frame.page(request, "missing", status=404, what=what, said=name[:300])

    return routes


def _read(asked: dict[str, str]) -> dict[str, Any]:
    return {**asked, "rising": bool(asked["rising"]), "flagged": bool(asked["flagged"])}
