"""`/api`: requests, the queue, and whether a model would be accepted; documented in `/openapi.json`.

Everything is read from Redis, on threads: the loop that takes deliveries in waits for none of it. A check is handed to
a sync process, and its answer read from Redis too.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Path, Query, Request
from fastapi.responses import Response

from bot.read_models import models
from bot.read_models.check_models import CheckResponse
from bot.read_models.lists import BadCursor, QueueReader
from bot.read_models.talk_models import DecisionListResponse, WaitingThreadsResponse
from bot.web.answers import CannotAnswer, answer
from bot.web.checks import AGAIN, Checks
from bot.web.incoming import client_of
from bot.web.talks import decisions, threads_waiting
from leaderboard.options import DEFAULT_PRECISION
from redis_state.board.check_questions import CheckQuestion

MOST = 500
"""Rows that one call answers with, at most."""
Status = Literal["PENDING", "RERUN", "RUNNING", "FINISHED", "FAILED", "PENDING_NEW_EVAL", "CANCELLED", "OTHER"]
Limit = Annotated[int, Query(ge=1, le=MOST, description="how many to answer with, at most")]
Name = Annotated[str, Query(max_length=200)]
After = Annotated[int, Query(ge=0, le=10_000_000)]
PROBLEMS: dict[int | str, dict[str, Any]] = {
    422: {"model": models.ErrorResponse, "description": "A parameter is not as it should be."},
    503: {"model": models.ErrorResponse, "description": "The queue's server does not answer."},
}
BAD_CURSOR = models.ErrorResponse(
    code="bad-cursor", message="This is no cursor.", advice="Take it from `next` of the page before, or leave it out."
)
NOT_MODIFIED: dict[int | str, dict[str, Any]] = {304: {"description": "You have it already, by its ETag."}}


def api_routes(pages: QueueReader, checks: Checks) -> APIRouter:
    """The routes of one board."""
    routes = APIRouter(prefix="/api", tags=["api"], responses={**PROBLEMS, **NOT_MODIFIED})
    _add_requests(routes, pages)
    _add_queue(routes, pages)
    _add_talks(routes, pages)
    _add_check(routes, checks)
    return routes


def _add_requests(routes: APIRouter, pages: QueueReader) -> None:
    @routes.get("/requests", summary="List requests", response_model=models.RequestListResponse)
    def requests(
        request: Request,
        status: Annotated[Status | None, Query(description="the word in the file")] = None,
        model: Annotated[Name, Query(description="`org/name`, in any case of letters")] = "",
        submitter: Annotated[Name, Query(description="name of the account that submitted it")] = "",
        cursor: Annotated[str, Query(max_length=2_000, description="`next` of the page before")] = "",
        limit: Limit = 100,
    ) -> Response:
        """Requests, newest first, those that fit every filter. A page may be short, also empty, and yet have a next."""
        try:
            found = pages.requests(
                status=status or "", model=model.strip(), submitter=submitter.strip(), cursor=cursor, limit=limit
            )
        except BadCursor as error:
            raise CannotAnswer(422, BAD_CURSOR) from error
        return answer(request, found)

    @routes.get(
        "/requests/{path:path}",
        summary="One request",
        response_model=models.RequestView,
        responses={404: {"model": models.ErrorResponse, "description": "There is no such request that is public."}},
    )
    def one(request: Request, path: Annotated[str, Path(max_length=1_000, examples=[models.PATH])]) -> Response:
        """One request: where it stands, why it failed, its place in the queue, its progress."""
        found = pages.request(path)
        if found is None:
            advice = "Give the path of its file in the requests repo, or look for it with /api/requests?model=…"
            message = "There is no request at this path, or its model is private."
            raise CannotAnswer(404, models.ErrorResponse(code="no-request", message=message, advice=advice))
        return answer(request, found)


def _add_queue(routes: APIRouter, pages: QueueReader) -> None:
    @routes.get("/queue", summary="The queue", response_model=models.QueueResponse)
    def queue(
        request: Request,
        after: Annotated[After, Query(description="skip so many of those that wait")] = 0,
        held_after: Annotated[After, Query(description="skip so many of those that are held back")] = 0,
        limit: Limit = 100,
    ) -> Response:
        """Who waits, in turn, with position and estimated start; who is held back, and why; who runs, and how far."""
        return answer(request, pages.queue(after=after, held_after=held_after, limit=limit))

    @routes.get("/queue.json", summary="The queue as one document", response_model=models.WholeQueueResponse)
    def whole_queue(
        request: Request,
        limit: Annotated[int, Query(ge=1, le=MOST, description="how many of each kind, at most")] = 100,
    ) -> Response:
        """For front ends: who waits, who is held back, who runs, and the newest that finished, or failed, and why."""
        return answer(request, pages.whole_queue(limit=limit))


def _add_talks(routes: APIRouter, pages: QueueReader) -> None:
    @routes.get("/decisions", summary="What people decided", response_model=DecisionListResponse)
    def decided(
        request: Request,
        cursor: Annotated[str, Query(max_length=2_000, description="`next` of the page before")] = "",
        limit: Limit = 100,
    ) -> Response:
        """Commands that decided something, newest first: who, what, whether they might, and what was answered."""
        try:
            return answer(request, decisions(pages.context, cursor=cursor, limit=limit))
        except BadCursor as error:
            raise CannotAnswer(422, BAD_CURSOR) from error

    @routes.get("/threads-waiting", summary="Threads that wait", response_model=WaitingThreadsResponse)
    def waiting(request: Request) -> Response:
        """Discussions that wait for a word of a maintainer, the longest first."""
        return answer(request, threads_waiting(pages.context))


def _add_check(routes: APIRouter, checks: Checks) -> None:
    @routes.get(
        "/check",
        summary="Would it be accepted?",
        response_model=CheckResponse,
        responses={
            202: {"model": CheckResponse, "description": "It is being checked: ask again after `Retry-After`."},
            429: {"model": models.ErrorResponse, "description": "Too much was asked within a minute."},
        },
    )
    async def check(
        request: Request,
        model: Annotated[str, Query(min_length=1, max_length=200, description="`org/name`", examples=["ada/tiny"])],
        revision: Annotated[str, Query(min_length=1, max_length=200, description="branch, tag or commit")] = "main",
        precision: Annotated[str, Query(min_length=1, max_length=32)] = DEFAULT_PRECISION,
        weight_type: Annotated[str, Query(min_length=1, max_length=32)] = "Original",
    ) -> Response:
        """Judge a model by every rule of admission, without submitting it. What was found is kept for a minute."""
        question = CheckQuestion(model=model, revision=revision, precision=precision, weight_type=weight_type)
        found = await checks.ask(question, client_of(request))
        if found is None:
            later = CheckResponse(state="under-way", model=model)
            return answer(request, later, status=202, headers={"retry-after": str(AGAIN)})
        return answer(request, found)
