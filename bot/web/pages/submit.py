"""`/submit`: submit a model in the name of the person who is signed in, and show the outcome.

Buttons of the form send it by POST, to check the model or to submit it. Both answers redirect to an address that can be
reloaded: it holds the fields, or the id of the submission. So a form that is sent twice submits once, and a person
whose session ended finds the fields again after signing in.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import RedirectResponse, Response
from starlette.concurrency import run_in_threadpool

from bot.requests.api_submission import DONE, PUBLISH_SCORES
from bot.web.answers import PRIVATE, CannotAnswer
from bot.web.checks import Checks
from bot.web.frame import Frame, as_query, new_key
from bot.web.incoming import body_of, form_in
from bot.web.pages.check import form_values, outcome_of
from bot.web.pages.predictions import PAGE as PREDICTIONS
from bot.web.submission_form import SubmissionForm, read_form
from bot.web.submit import Submitting, arguments_in, submission_of
from bot.web.visitors import FORM_TOKEN, Visitor
from leaderboard.categories import ModelCategory, read_category
from redis_state.board.messages import ApiSubmission

SUBMIT, SENT = "/submit", "/submit/sent"
KEY = "key"
"""The field with a random key of the shown page: a page that is sent twice submits once."""


class SubmitPages:
    """The pages of one board on which people submit."""

    def __init__(self, submitting: Submitting, checks: Checks, frame: Frame) -> None:
        self.submitting, self.checks, self.frame = submitting, checks, frame
        self.context, self.visitors = submitting.context, submitting.visitors

    async def show(self, request: Request) -> Response:
        """The form, checked as far as it is filled in; for visitors who are not signed in, what they can do.

        A board that takes no models shows how to submit predictions.
        """
        if not self.context.takes.models:
            return RedirectResponse(PREDICTIONS.path, 303)
        visitor = await run_in_threadpool(self.visitors.of, request)
        form = self._read_form(request.query_params)
        if visitor is None:
            return await self._signed_out(request, form)
        return await self._form(request, visitor, form)

    def _read_form(self, fields: Mapping[str, str]) -> SubmissionForm:
        """The form in these fields; without a chat template where the board's evaluator uses none."""
        form = read_form(fields, self.context.hub.endpoint)
        return form if self.context.takes.chat_templates else replace(form, chat_template="no")

    async def post(self, request: Request) -> Response:
        """Check the model, or submit it; then redirect to the answer."""
        fields = form_in(await body_of(request))
        form = self._read_form(fields)
        visitor = await run_in_threadpool(self.visitors.of, request)
        if visitor is None:
            return await self._signed_out(request, form, status=401)
        try:
            account = await self.submitting.signed_in(request, fields.get(FORM_TOKEN, ""))
            if fields.get("do") != "submit" or not form.is_complete:
                return RedirectResponse(f"{SUBMIT}{_query(form)}", 303, PRIVATE)
            arguments = arguments_in(json.dumps(form.body()).encode(), self.context.hub.endpoint)
            if self._publishes_scores(fields):
                arguments[PUBLISH_SCORES] = "yes"
            key = _key(fields.get(KEY, ""), arguments)
            submission = submission_of(account, arguments, key, self.context.now())
            await self.submitting.submit(submission)
        except CannotAnswer as error:
            return await self._form(request, visitor, form, error, publishes_scores=self._publishes_scores(fields))
        return RedirectResponse(f"{SENT}?id={submission.message_id}", 303, PRIVATE)

    async def sent(self, request: Request) -> Response:
        """The outcome of a submission; a redirect to its request's page as soon as that exists."""
        visitor = await run_in_threadpool(self.visitors.of, request)
        if visitor is None:
            return await self._signed_out(request, SubmissionForm(), back=f"{SENT}?id={_id_in(request)}")
        submission, answer = await run_in_threadpool(self.submitting.sent, _id_in(request))
        if submission is None or submission.person_id != visitor.person.id:
            return await self._page(request, "submit_sent", status=404, answer=None, form=None)
        if answer is not None and answer.code in DONE and not answer.model_page:
            (entry,) = await run_in_threadpool(self.context.index.find, [answer.path])
            if entry is not None and not entry.is_private:
                return RedirectResponse(answer.page_url, 303, PRIVATE)
        if answer is None:
            answer = await run_in_threadpool(self.submitting.under_way, submission)
        return await self._page(request, "submit_sent", answer=answer, form=_form_of(submission))

    def _publishes_scores(self, fields: Mapping[str, str]) -> bool:
        """Whether the box for scores on the model's own page is ticked, on a board that offers it."""
        return bool(self.context.board.model_pages) and fields.get(PUBLISH_SCORES) == "yes"

    async def _form(
        self,
        request: Request,
        visitor: Visitor,
        form: SubmissionForm,
        error: CannotAnswer | None = None,
        *,
        publishes_scores: bool = False,
    ) -> Response:
        """The form; with `error` it is not checked again, and shows why it was not submitted.

        The address of the form never ticks the box for the model's own page: a person agrees to that by a click, not by
        following a link.
        """
        answer, problem = await outcome_of(self.checks, request, form, visitor.name) if error is None else (None, error)
        values = form_values(self.checks, form, answer, problem)
        return await self._page(
            request,
            "submit",
            status=problem.status if problem is not None else 200,
            is_refused=error is not None,
            has_model_pages=bool(self.context.board.model_pages),
            publishes_scores=publishes_scores,
            form_token=visitor.form_token,
            key=new_key(),
            categories=[
                (category.value, category.symbol, category.explanation)
                for category in ModelCategory
                if category is not ModelCategory.UNKNOWN
            ],
            **values,
        )

    async def _signed_out(
        self, request: Request, form: SubmissionForm, *, status: int = 200, back: str = ""
    ) -> Response:
        back = back or f"{SUBMIT}{_query(form)}"
        return await run_in_threadpool(
            lambda: self.frame.page(
                request, "submit_signed_out", status=status, form=form, sign_in_back=back, is_refused=status == 401
            )
        )

    async def _page(self, request: Request, name: str, *, status: int = 200, **values: Any) -> Response:
        return await run_in_threadpool(lambda: self.frame.page(request, name, status=status, alone=True, **values))


def submit_page_routes(submitting: Submitting, checks: Checks, frame: Frame) -> APIRouter:
    """The routes of the pages."""
    routes, pages = APIRouter(include_in_schema=False), SubmitPages(submitting, checks, frame)
    routes.add_api_route(SUBMIT, pages.show, methods=["GET"])
    routes.add_api_route(SUBMIT, pages.post, methods=["POST"])
    routes.add_api_route(SENT, pages.sent, methods=["GET"])
    return routes


def _query(form: SubmissionForm) -> str:
    return as_query(form.values).unescape() if form.model else ""


def _key(key: str, arguments: dict[str, str]) -> str:
    """The key of one page's submission with these `arguments`: a page that is changed and sent again submits anew."""
    return hashlib.sha256(json.dumps([key[:100], sorted(arguments.items())]).encode()).hexdigest()


def _id_in(request: Request) -> str:
    name = request.query_params.get("id", "")
    return name if len(name) <= 64 and name.isalnum() and name.isascii() else ""


def _form_of(submission: ApiSubmission) -> SubmissionForm:
    arguments = submission.arguments
    return SubmissionForm(
        model=arguments["model"],
        revision=arguments.get("revision", ""),
        precision=arguments.get("precision", ""),
        weight_type=arguments.get("weight_type", ""),
        base_model=arguments.get("base_model", ""),
        model_type=read_category(arguments.get("type")).value,
        chat_template=arguments.get("chat_template", ""),
    )
