"""The public pages. Each works without a script, and ignores invalid query parameters.

The pages decide and change nothing: people write commands in threads.
"""

from __future__ import annotations

from fastapi import APIRouter, Request
from fastapi.responses import Response

from bot.read_models.lists import BadCursor
from bot.threads.verbs import REGISTRY
from bot.web.board import BoardReader
from bot.web.charts.serializers import model_chart
from bot.web.frame import Frame
from bot.web.incoming import choice, number, words
from bot.web.live import SHOWN
from bot.web.rows import SORTS
from bot.web.talks import decisions, threads_waiting
from leaderboard.categories import ModelCategory
from leaderboard.roles import who_may

PAGE_ROWS, ENDED_ROWS = 50, 8
"""Rows of a list, and of each list of ended requests on the queue page."""
STATES = ("waiting", "running", "finished", "failed", "cancelled", "new", "elsewhere")


def site_routes(views: BoardReader, frame: Frame) -> APIRouter:
    """The public pages of one board."""
    routes = APIRouter(include_in_schema=False)
    _add_requests(routes, views, frame)
    _add_results(routes, views, frame)
    _add_lists(routes, views, frame)
    _add_threads(routes, views, frame)
    return routes


def _add_requests(routes: APIRouter, views: BoardReader, frame: Frame) -> None:
    @routes.get("/")
    def queue(request: Request) -> Response:
        after, held_after = number(request, "after", 0), number(request, "held_after", 0)
        ended = {state: views.requests(state=state, size=ENDED_ROWS).requests for state in ("finished", "failed")}
        return frame.page(
            request,
            "queue",
            queue=views.pages.queue(after=after, held_after=held_after, limit=SHOWN),
            after=after,
            held_after=held_after,
            size=SHOWN,
            ended=ended,
            counts=views.counts(),
        )

    @routes.get("/requests")
    def requests(request: Request) -> Response:
        q, state = words(request, "q"), choice(request, "state", STATES)
        page = views.requests(q=q, state=state, page=number(request, "page", 1), size=PAGE_ROWS)
        return frame.page(request, "requests", found=page, q=q, state=state, states=STATES)

    @routes.get("/requests/{path:path}")
    def one(request: Request, path: str) -> Response:
        history = views.history(path)
        if history is None:
            return _missing(frame, request, "request", path)
        return frame.page(request, "request", found=history, one=history.request, columns=views.columns)


def _add_results(routes: APIRouter, views: BoardReader, frame: Frame) -> None:
    @routes.get("/models/{name:path}")
    def model(request: Request, name: str) -> Response:
        view = views.model(name)
        if view is None:
            return _missing(frame, request, "model", name)
        chart = model_chart(view.compared)
        return frame.page(request, "model", found=view, columns=views.columns, chart=chart)

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
        page = views.results(
            q=asked["q"],
            sort=asked["sort"],
            rising=bool(asked["rising"]),
            flagged=bool(asked["flagged"]),
            category=asked["category"],
            precision=asked["precision"],
            page=number(request, "page", 1),
            size=PAGE_ROWS,
        )
        return frame.page(request, "results", found=page, asked=asked, categories=ModelCategory, precisions=precisions)


def _add_lists(routes: APIRouter, views: BoardReader, frame: Frame) -> None:
    @routes.get("/flags")
    def flags(request: Request) -> Response:
        takes_reports = bool(views.context.board.repos.flags)  # without a repo for flags, the bot takes no report
        return frame.page(request, "flags", flags=views.flags().flags, takes_reports=takes_reports)

    @routes.get("/workers")
    def workers(request: Request) -> Response:
        return frame.page(request, "workers", workers=views.workers().workers)


def _add_threads(routes: APIRouter, views: BoardReader, frame: Frame) -> None:
    @routes.get("/commands")
    def commands(request: Request) -> Response:
        return frame.page(request, "commands", verbs=REGISTRY.verbs, who_may=who_may)

    @routes.get("/decisions")
    def decided(request: Request) -> Response:
        cursor = request.query_params.get("cursor", "")[:2_000]
        try:
            page = decisions(views.context, cursor=cursor, limit=PAGE_ROWS)
        except BadCursor:
            page = decisions(views.context, limit=PAGE_ROWS)
        return frame.page(request, "decisions", found=page)

    @routes.get("/threads-waiting")
    def waiting(request: Request) -> Response:
        return frame.page(request, "threads_waiting", threads=threads_waiting(views.context).threads)


def _missing(frame: Frame, request: Request, kind: str, name: str) -> Response:
    return frame.page(request, "missing", status=404, what=kind, said=name[:300])
