"""Pages about what people write to the bot: commands, decisions, threads that wait."""

from __future__ import annotations

from fastapi import APIRouter, Request
from fastapi.responses import Response

from bot.core.context import BoardContext
from bot.read_models.lists import BadCursor
from bot.threads.verbs import REGISTRY
from bot.web.frame import Frame
from bot.web.talks import decisions, threads_waiting
from leaderboard.roles import who_may

SHOWN = 50
"""Decisions on a page."""


def page_routes(context: BoardContext, frame: Frame) -> APIRouter:
    """These pages of one board."""
    routes = APIRouter(include_in_schema=False)

    @routes.get("/commands")
    def commands(request: Request) -> Response:
        return frame.page(request, "commands", verbs=REGISTRY.verbs, who_may=who_may)

    @routes.get("/decisions")
    def decided(request: Request) -> Response:
        cursor = request.query_params.get("cursor", "")[:2_000]
        try:
            found = decisions(context, cursor=cursor, limit=SHOWN)
        except BadCursor:
            found = decisions(context, limit=SHOWN)
        return frame.page(request, "decisions", found=found)

    @routes.get("/threads-waiting")
    def waiting(request: Request) -> Response:
        return frame.page(request, "threads_waiting", threads=threads_waiting(context).threads)

    return routes
