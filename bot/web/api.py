"""`/api` beside the JSON of the pages: requests, the queue as one document, checks of models.

The routes read Redis on threads, so the event loop that receives deliveries never waits for them. A sync process
answers checks, through Redis too.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Path, Query, Request
from fastapi.responses import Response

from bot.read_models import models
from bot.read_models.check_models import CheckResponse
from bot.read_models.lists import QueueReader
from bot.web.answers import CannotAnswer, answer
from bot.web.asking import RETRY_SECONDS
from bot.web.checks import Checks
from bot.web.incoming import client_of
from leaderboard.options import DEFAULT_PRECISION
from redis_state.board.messages import CheckQuestion

MAX_ROWS = 500
"""Rows of one response, at most."""
Status = Literal["PENDING", "RERUN", "RUNNING", "FINISHED", "FAILED", "PENDING_NEW_EVAL", "CANCELLED", "OTHER"]
Limit = Annotated[int, Query(ge=1, le=MAX_ROWS, description="maximum number of rows")]
Name = Annotated[str, Query(max_length=200)]
PROBLEMS: dict[int | str, dict[str, Any]] = {
    422: {"model": models.ErrorResponse, "description": "A parameter is not valid."},
    503: {"model": models.ErrorResponse, "description": "The queue's server does not answer."},
}
NOT_MODIFIED: dict[int | str, dict[str, Any]] = {304: {"description": "The client has it already, by its ETag."}}


def api_routes(pages: QueueReader, checks: Checks) -> APIRouter:
    """The routes of `/api` for one board: requests, the queue, checks."""
    routes = APIRouter(prefix="/api", tags=["api"], responses={**PROBLEMS, **NOT_MODIFIED})
    _add_requests(routes, pages)
    _add_queue(routes, pages)
    _add_check(routes, checks)
    return routes


def _add_requests(routes: APIRouter, pages: QueueReader) -> None:
    @routes.get("/requests", summary="List requests", response_model=models.RequestListResponse)
    def requests(
        request: Request,
        status: Annotated[Status | None, Query(description="the status in the request file")] = None,
        model: Annotated[Name, Query(description="`org/name`; case does not matter")] = "",
        submitter: Annotated[Name, Query(description="name of the account that submitted it")] = "",
        cursor: Annotated[str, Query(max_length=2_000, description="`next` of the page before")] = "",
        limit: Limit = 100,
    ) -> Response:
        """Requests that match every filter, newest first. A short or empty page may still have a next one."""
        page = pages.requests(
            status=status or "", model=model.strip(), submitter=submitter.strip(), cursor=cursor, limit=limit
        )
        return answer(request, page)

    @routes.get(
        "/requests/{path:path}",
        summary="One request",
        response_model=models.RequestView,
        responses={404: {"model": models.ErrorResponse, "description": "There is no such public request."}},
    )
    def one(request: Request, path: Annotated[str, Path(max_length=1_000, examples=[models.PATH])]) -> Response:
        """One request: its state, why it failed, its place in the queue, its progress."""
        view = pages.request(path)
        if view is None:
            advice = "Give the path of its file in the requests repo, or look for it with /api/requests?model=…"
            message = "There is no request at this path, or its model is private."
            raise CannotAnswer(404, models.ErrorResponse(code="no-request", message=message, advice=advice))
        return answer(request, view)


def _add_queue(routes: APIRouter, pages: QueueReader) -> None:
    @routes.get("/queue.json", summary="The queue as one document", response_model=models.WholeQueueResponse)
    def whole_queue(
        request: Request,
        limit: Annotated[int, Query(ge=1, le=MAX_ROWS, description="maximum number of each kind")] = 100,
    ) -> Response:
        """For front ends: requests that wait, are held back, or run, and the newest that finished or failed."""
        return answer(request, pages.whole_queue(limit=limit))


def _add_check(routes: APIRouter, checks: Checks) -> None:
    @routes.get(
        "/check",
        summary="Would it be accepted?",
        response_model=CheckResponse,
        responses={
            202: {"model": CheckResponse, "description": "The check is running: ask again after `Retry-After`."},
            429: {"model": models.ErrorResponse, "description": "There were too many checks within a minute."},
        },
    )
    async def check(
        request: Request,
        model: Annotated[str, Query(min_length=1, max_length=200, description="`org/name`", examples=["ada/tiny"])],
        revision: Annotated[str, Query(min_length=1, max_length=200, description="branch, tag or commit")] = "main",
        precision: Annotated[str, Query(min_length=1, max_length=32)] = DEFAULT_PRECISION,
        weight_type: Annotated[str, Query(min_length=1, max_length=32)] = "Original",
    ) -> Response:
        """Check a model against every rule of admission, without submitting it. The answer is cached for a minute."""
        question = CheckQuestion(model=model, revision=revision, precision=precision, weight_type=weight_type)
        response = await checks.ask(question, client_of(request))
        if response is None:
            pending = CheckResponse(state="under-way", model=model)
            return answer(request, pending, status=202, headers={"retry-after": str(RETRY_SECONDS)})
        return answer(request, response)
