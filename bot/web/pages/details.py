"""`/details/…` shows the questions of one task with the answers of one evaluation, and `/compare/questions` those that
exactly one of two evaluations got right. A sync reads them from public details repos; each page works without a script.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

from fastapi import APIRouter, Path, Query, Request
from fastapi.responses import Response
from starlette.concurrency import run_in_threadpool

from bot.core.context import BoardContext
from bot.read_models.details_models import DetailsResponse, Show
from bot.read_models.models import PATH, ErrorResponse
from bot.results.details_reader import DetailsRefused, visible_benchmark, visible_entry
from bot.web.answers import CannotAnswer, answer
from bot.web.api import NOT_MODIFIED, PROBLEMS
from bot.web.asking import RETRY_SECONDS
from bot.web.board import page_of
from bot.web.checks import PublishedAnswers
from bot.web.frame import Frame
from bot.web.incoming import choice, client_of, number, words
from redis_state.board.entry import IndexEntry
from redis_state.board.messages import MAX_QUESTIONS, DetailsQuestion

SHOWS: tuple[Show, ...] = ("all", "right", "wrong")
MISSING = frozenset({"no-request", "no-results", "no-task", "no-table"})
"""Refusals for answers that do not exist, which the API answers with 404; other refusals are for hidden answers."""
MAX_PATH = 1_000
TaskName = Annotated[str, Query(max_length=200, description="a task of the suite; empty: the first one that is shown")]
MAX_OFFSET = 10_000_000
Offset = Annotated[int, Query(ge=0, le=MAX_OFFSET, description="questions before the part")]
Limit = Annotated[int, Query(ge=1, le=MAX_QUESTIONS, description="questions of the part")]
ShowQuery = Annotated[Show, Query(description="questions by the answer of the (first) evaluation")]
RESPONSES: dict[int | str, dict[str, Any]] = {
    **PROBLEMS,
    **NOT_MODIFIED,
    202: {"model": DetailsResponse, "description": "They are being read: ask again after `Retry-After`."},
    403: {"model": ErrorResponse, "description": "They are not public, or the benchmark is restricted."},
    404: {"model": ErrorResponse, "description": "There are none: the message says why."},
    429: {"model": ErrorResponse, "description": "There were too many questions within a minute."},
    501: {"model": ErrorResponse, "description": "The server has no pyarrow (the extra `contents`)."},
}


def details_routes(answers: PublishedAnswers, frame: Frame) -> APIRouter:
    """The two pages, and their JSON."""
    routes = APIRouter(tags=["board"])
    _add_pages(routes, answers, frame)
    _add_api(routes, answers)
    return routes


def _add_pages(routes: APIRouter, answers: PublishedAnswers, frame: Frame) -> None:
    context = answers.context

    @routes.get("/details/{path:path}", include_in_schema=False)
    async def details(request: Request, path: str) -> Response:
        return await page(request, [path[:MAX_PATH]])

    @routes.get("/compare/questions", include_in_schema=False)
    async def differences(request: Request) -> Response:
        pins = list(dict.fromkeys(pin[:MAX_PATH] for pin in request.query_params.getlist("pin")[:10]))
        return await page(request, [*pins, "", ""][:2])

    async def page(request: Request, paths: Sequence[str]) -> Response:
        entries, client = await _visible_entries(context, paths), client_of(request)

        def question(page: int) -> DetailsQuestion:
            show, offset = choice(request, "show", SHOWS) or "all", min((page - 1) * MAX_QUESTIONS, MAX_OFFSET)
            return _question(context, paths, words(request, "task"), show=show, offset=offset)

        asked = question(number(request, "page", 1))
        part = await _part(answers, asked, client)
        count = part.counts.get(asked.show, 0)
        at, pages, _ = page_of(range(count), asked.offset // MAX_QUESTIONS + 1, MAX_QUESTIONS)
        if part.state == "done" and count and not part.questions:  # after the last page: show that one
            part = await _part(answers, question(at), client)
        fields: dict[str, Any] = {
            "found": part,
            "asked": asked,
            "entries": entries,
            "suite": context.suite,
            "page": at,
            "pages": pages,
        }
        return await run_in_threadpool(lambda: frame.page(request, "details", **fields))


def _add_api(routes: APIRouter, answers: PublishedAnswers) -> None:
    @routes.get(
        "/api/details/{path:path}",
        summary="Answers of one evaluation",
        response_model=DetailsResponse,
        responses=RESPONSES,
    )
    async def details(
        request: Request,
        path: Annotated[str, Path(max_length=MAX_PATH, examples=[PATH])],
        task: TaskName = "",
        show: ShowQuery = "all",
        offset: Offset = 0,
        limit: Limit = MAX_QUESTIONS,
    ) -> Response:
        """Questions of one task with the answers of the evaluation of a request, read from its details repo."""
        return await _answer(request, answers, [path], task, show=show, offset=offset, limit=limit)

    @routes.get(
        "/api/compare/questions",
        summary="Questions where two evaluations differ",
        response_model=DetailsResponse,
        responses=RESPONSES,
    )
    async def differences(
        request: Request,
        pin: Annotated[list[str], Query(description="the paths of two requests", min_length=2, max_length=2)],
        task: TaskName = "",
        show: ShowQuery = "all",
        offset: Offset = 0,
        limit: Limit = MAX_QUESTIONS,
    ) -> Response:
        """Questions of one task that exactly one of two evaluations got right, with the answers of both."""
        return await _answer(request, answers, pin, task, show=show, offset=offset, limit=limit)


async def _answer(
    request: Request, answers: PublishedAnswers, paths: Sequence[str], task: str, **fields: Any
) -> Response:
    """The API's answer with a part of the questions of `task`. Raises CannotAnswer if they are not shown."""
    await _visible_entries(answers.context, paths)
    part = await _part(answers, _question(answers.context, paths, task, **fields), client_of(request))
    if part.state == "refused":
        raise _problem(part.code, part.message)
    if part.state == "under-way":
        return answer(request, part, status=202, headers={"retry-after": str(RETRY_SECONDS)})
    return answer(request, part)


async def _visible_entries(context: BoardContext, paths: Sequence[str]) -> list[IndexEntry]:
    """The requests at `paths`. Raises CannotAnswer if the answers of one are not public, or it has none."""
    try:
        return [await run_in_threadpool(visible_entry, context, path) for path in paths]
    except DetailsRefused as error:
        raise _problem(error.code, error.message) from None


def _question(context: BoardContext, paths: Sequence[str], task: str, **fields: Any) -> DetailsQuestion:
    """The question about `task`, or about the first task whose answers may be shown."""
    shown = (
        task.name for benchmark in context.suite.benchmarks if not benchmark.restricted for task in benchmark.tasks
    )
    second = paths[1] if len(paths) > 1 else ""
    name = task[:200] or next(shown, context.suite.tasks[0])
    return DetailsQuestion(path=paths[0], other=second, task=name, **fields)


async def _part(answers: PublishedAnswers, asked: DetailsQuestion, client: str) -> DetailsResponse:
    """The part of the answers that `asked` names. Only questions about tasks that may be shown reach a sync."""
    paths = [path for path in (asked.path, asked.other) if path]
    fields: dict[str, Any] = {"paths": paths, "task": asked.task, "show": asked.show, "offset": asked.offset}
    try:
        visible_benchmark(answers.context, asked.task)
    except DetailsRefused as error:
        return DetailsResponse(state="refused", code=error.code, message=error.message, **fields)
    return await answers.ask(asked, client) or DetailsResponse(state="under-way", **fields)


def _problem(code: str, message: str) -> CannotAnswer:
    status = 404 if code in MISSING else 501 if code == "no-pyarrow" else 403
    advice = "Look for finished requests at /requests, and for the suite's tasks at /about."
    return CannotAnswer(status, ErrorResponse(code=code, message=message, advice=advice))
