"""`/api` for the whole board: the JSON counterparts of the pages, with the same search."""

from __future__ import annotations

from typing import Annotated, Any, TypeVar

from fastapi import APIRouter, Path, Query, Request
from fastapi.responses import Response

from bot.read_models.models import PATH, ErrorResponse, State
from bot.web import board_models as models
from bot.web.answers import CannotAnswer, answer
from bot.web.api import MAX_ROWS, NOT_MODIFIED, PROBLEMS
from bot.web.board import BoardReader
from leaderboard.categories import ModelCategory

SearchText = Annotated[str, Query(max_length=1_000, description="a search, as in the FAQ: `yi-34b; Hub License: mit`")]
PageNumber = Annotated[int, Query(ge=1, le=10_000_000, description="page, from 1; after the last page, the last one")]
PageSize = Annotated[int, Query(ge=1, le=MAX_ROWS, description="rows of a page")]
T = TypeVar("T")
MISSING: dict[int | str, dict[str, Any]] = {404: {"model": ErrorResponse, "description": "There is no public one."}}


def board_api_routes(views: BoardReader) -> APIRouter:
    """The routes of one board."""
    routes = APIRouter(prefix="/api", tags=["board"], responses={**PROBLEMS, **NOT_MODIFIED})

    @routes.get("/results", summary="The table of results", response_model=models.ResultsResponse)
    def results(
        request: Request,
        q: SearchText = "",
        sort: Annotated[str, Query(max_length=60, description="average, model, parameters, time or a benchmark")] = "",
        rising: bool = False,
        category: Annotated[ModelCategory | None, Query(description="only models of this category")] = None,
        precision: Annotated[str, Query(max_length=32)] = "",
        flagged: Annotated[bool, Query(description="whether to include flagged models")] = False,
        page: PageNumber = 1,
        limit: PageSize = 100,
    ) -> Response:
        """Every evaluation that has scores, the best first by default."""
        results_page = views.results(
            q=q,
            sort=sort,
            rising=rising,
            flagged=flagged,
            category=category or "",
            precision=precision,
            page=page,
            size=limit,
        )
        return answer(request, results_page)

    @routes.get("/search", summary="Search all requests", response_model=models.RequestTableResponse)
    def search(
        request: Request, q: SearchText = "", state: State | None = None, page: PageNumber = 1, limit: PageSize = 100
    ) -> Response:
        """Requests in any state, newest first, found by the same query language as `/search` in a thread."""
        return answer(request, views.requests(q=q, state=state or "", page=page, size=limit))

    @routes.get(
        "/history/{path:path}",
        summary="The history of a request",
        response_model=models.RequestHistoryResponse,
        responses=MISSING,
    )
    def history(request: Request, path: Annotated[str, Path(max_length=1_000, examples=[PATH])]) -> Response:
        """One request with its past attempts, its scores, and the flags of its model."""
        return answer(request, _or_404(views.history(path), "no-request", "request at this path"))

    @routes.get("/models/{name:path}", summary="One model", response_model=models.ModelResponse, responses=MISSING)
    def model(request: Request, name: Annotated[str, Path(max_length=200, examples=["ada/tiny"])]) -> Response:
        """All of a model's requests, scores and flags."""
        return answer(request, _or_404(views.model(name), "no-model", "model of this name"))

    @routes.get("/flags", summary="Flags", response_model=models.FlagsResponse)
    def flags(request: Request) -> Response:
        """All flags, active and lifted, each with its thread."""
        return answer(request, views.flags())

    @routes.get("/workers", summary="Workers", response_model=models.WorkersResponse)
    def workers(request: Request) -> Response:
        """The workers that are alive, each with the request that it evaluates."""
        return answer(request, views.workers())

    return routes


def _or_404(view: T | None, code: str, name: str) -> T:
    if view is None:
        message = f"There is no {name}, or its model is private."
        raise CannotAnswer(404, ErrorResponse(code=code, message=message, advice="Look for it with /api/search?q=…"))
    return view
