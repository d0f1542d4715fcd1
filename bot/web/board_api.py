"""`/api` for the board as a whole: the twins of the pages, with the same search."""

from __future__ import annotations

from typing import Annotated, Any, TypeVar

from fastapi import APIRouter, Path, Query, Request
from fastapi.responses import Response

from bot.read_models.models import PATH, ErrorResponse, State
from bot.web import board_models as models
from bot.web.answers import CannotAnswer, answer
from bot.web.api import MOST, NOT_MODIFIED, PROBLEMS
from bot.web.board import BoardReader
from leaderboard.categories import ModelCategory

Words = Annotated[str, Query(max_length=1_000, description="a search, as in the FAQ: `yi-34b; Hub License: mit`")]
Number = Annotated[int, Query(ge=1, le=10_000_000, description="page, from 1; past the end it is the last one")]
Size = Annotated[int, Query(ge=1, le=MOST, description="rows of a page")]
T = TypeVar("T")
MISSING: dict[int | str, dict[str, Any]] = {
    404: {"model": ErrorResponse, "description": "There is none that is public."}
}


def board_api_routes(views: BoardReader) -> APIRouter:
    """The routes of one board."""
    routes = APIRouter(prefix="/api", tags=["board"], responses={**PROBLEMS, **NOT_MODIFIED})

    @routes.get("/results", summary="The table of results", response_model=models.ResultsResponse)
    def results(
        request: Request,
        q: Words = "",
        sort: Annotated[str, Query(max_length=60, description="average, model, parameters, time or a benchmark")] = "",
        rising: bool = False,
        category: Annotated[ModelCategory | None, Query(description="of models, and no other")] = None,
        precision: Annotated[str, Query(max_length=32)] = "",
        flagged: Annotated[bool, Query(description="whether flagged models are shown too")] = False,
        page: Number = 1,
        limit: Size = 100,
    ) -> Response:
        """Every evaluation that has scores, the best first unless told otherwise."""
        found = views.results(
            q=q,
            sort=sort,
            rising=rising,
            flagged=flagged,
            category=category or "",
            precision=precision,
            page=page,
            size=limit,
        )
        return answer(request, found)

    @routes.get("/search", summary="Search all requests", response_model=models.RequestTableResponse)
    def search(
        request: Request, q: Words = "", state: State | None = None, page: Number = 1, limit: Size = 100
    ) -> Response:
        """Requests in whatever state, newest first, in the same language as `/search` in a thread."""
        return answer(request, views.requests(q=q, state=state or "", page=page, size=limit))

    @routes.get(
        "/history/{path:path}",
        summary="The life of a request",
        response_model=models.RequestHistoryResponse,
        responses=MISSING,
    )
    def history(request: Request, path: Annotated[str, Path(max_length=1_000, examples=[PATH])]) -> Response:
        """One request with what it went through before, its scores, and the flags of its model."""
        return answer(request, _or_404(views.history(path), "no-request", "request at this path"))

    @routes.get("/models/{name:path}", summary="One model", response_model=models.ModelResponse, responses=MISSING)
    def model(request: Request, name: Annotated[str, Path(max_length=200, examples=["ada/tiny"])]) -> Response:
        """All of a model's requests, scores and flags."""
        return answer(request, _or_404(views.model(name), "no-model", "model of this name"))

    @routes.get("/flags", summary="Flags", response_model=models.FlagsResponse)
    def flags(request: Request) -> Response:
        """What is, or was, held against models, and in which thread it is spoken about."""
        return answer(request, views.flags())

    @routes.get("/workers", summary="Workers", response_model=models.WorkersResponse)
    def workers(request: Request) -> Response:
        """Who works, and at what."""
        return answer(request, views.workers())

    return routes


def _or_404(found: T | None, code: str, what: str) -> T:
    if found is None:
        message = f"There is no {what}, or its model is private."
        raise CannotAnswer(404, ErrorResponse(code=code, message=message, advice="Look for it with /api/search?q=…"))
    return found
