"""`/check`: whether the board would accept a model, with every reason, without signing in and without submitting it."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, RedirectResponse, Response
from starlette.concurrency import run_in_threadpool

from bot.read_models.check_models import CheckResponse
from bot.read_models.models import ErrorResponse
from bot.web.answers import CannotAnswer
from bot.web.checks import Checks, ModelNames
from bot.web.frame import Frame
from bot.web.incoming import client_of, words
from bot.web.pages.predictions import PAGE as PREDICTIONS_PAGE
from bot.web.submission_form import SubmissionForm, read_form
from leaderboard.options import WEIGHT_TYPES
from leaderboard.predictions import PREDICTIONS


async def outcome_of(
    checks: Checks, request: Request, form: SubmissionForm, submitter: str = ""
) -> tuple[CheckResponse | None, CannotAnswer | None]:
    """The answer to the check of `form`, or why there is none. The answer says `under-way` until a sync has checked it.

    For a form without a model, both are None.
    """
    if not form.model:
        return None, None
    try:
        answer = await checks.ask(form.question(submitter), client_of(request))
    except CannotAnswer as error:
        return None, error
    return answer or CheckResponse(state="under-way", model=form.model), None


def form_values(
    checks: Checks, form: SubmissionForm, answer: CheckResponse | None, problem: CannotAnswer | None
) -> dict[str, Any]:
    """The values for the templates of the form: its fields, the outcome of the check, and the choices."""
    shown: ErrorResponse | None = problem.problem if problem is not None else None
    guesses = answer.guesses if answer is not None else []
    return {
        "form": form.filled(guesses),
        "guesses": {guess.field: guess for guess in guesses},
        "answer": answer,
        "problem": shown,
        "retry": (problem.headers.get("retry-after", "") if problem is not None else ""),
        "precisions": [name for name in checks.context.board.precisions if name != PREDICTIONS],
        "weight_types": WEIGHT_TYPES,
    }


def check_page_routes(checks: Checks, frame: Frame) -> APIRouter:
    """The route of the page, and that of the names that its script suggests."""
    routes, names = APIRouter(include_in_schema=False), ModelNames(checks.context)

    @routes.get("/check")
    async def check(request: Request) -> Response:
        if not checks.context.takes.models:
            return RedirectResponse(PREDICTIONS_PAGE.path, 303)
        form = read_form(request.query_params, checks.context.hub.endpoint)
        answer, problem = await outcome_of(checks, request, form)
        values = form_values(checks, form, answer, problem)
        status, headers = (problem.status, problem.headers) if problem is not None else (200, {})
        page = await run_in_threadpool(lambda: frame.page(request, "check", status=status, asked=form, **values))
        page.headers.update(headers)
        return page

    @routes.get("/check/names")
    async def model_names(request: Request) -> Response:
        """Names of models on the Hub that have the words of `q` in them, for the script of the form."""
        models = await names.ask(words(request, "q"), client_of(request))
        return JSONResponse(models, headers={"cache-control": "no-store"})

    @routes.get("/check/exists")
    async def model_exists(request: Request) -> Response:
        """Whether the Hub has a public model of the name `model`, for the script of the table; null: ask again."""
        exists = await names.exists(words(request, "model"), client_of(request))
        return JSONResponse({"exists": exists}, headers={"cache-control": "no-store"})

    return routes
