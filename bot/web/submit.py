"""`POST /api/requests`: submit a model by a program, with one's own token, as `/submit` does in a thread.

Order matters: a token at all, then the body within its bounds, then whose token it is, then whether that person may go
on. What is left is noted in Redis for a sync, which has the bot's token and does exactly what it does for a thread.
Who submits is whoever owns the token; nothing that is inside the body can change that. A script on our own pages shows
no token: there it is whoever is signed in, and the form token of the session proves that the page is ours.
"""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Header, Request, Security
from fastapi.responses import Response
from fastapi.security import HTTPAuthorizationCredentials
from pydantic import ValidationError
from starlette.concurrency import run_in_threadpool

from bot.core.context import BoardContext
from bot.model_facts.checking import as_request
from bot.read_models.models import ErrorResponse
from bot.read_models.submit_models import SubmissionBody, SubmissionResponse
from bot.threads.limits import MAX_COMMANDS, seconds_to_wait
from bot.web.answers import FRESH, CannotAnswer
from bot.web.checks import AGAIN, AnswerWaiter
from bot.web.incoming import body_of, client_of
from bot.web.submission_sync import arguments_of, request_addresses
from bot.web.tokens import BEARER, Owners, shown_token, unknown
from bot.web.visitors import Visitors
from hub.records import Account
from leaderboard.reasons import Problem as Reason
from redis_state.board.submissions import SUBMISSION, ApiSubmission, ApiSubmissions

STATUSES = {
    "submitted": 202,
    "resubmitted": 202,
    "under-way": 202,
    "refused": 422,
    "quota": 429,
    "exists": 409,
    "unreadable": 409,
    "off": 409,
    "not-allowed": 403,
    "hub-refused": 503,
}
BODY: dict[str, Any] = {
    "requestBody": {"required": True, "content": {"application/json": {"schema": SubmissionBody.model_json_schema()}}}
}
ANSWERS: dict[int | str, dict[str, Any]] = {
    202: {"model": SubmissionResponse, "description": "Submitted, or still being checked: then send the same again."},
    400: {"model": ErrorResponse, "description": "The body is no JSON."},
    401: {"model": ErrorResponse, "description": "There is no token, or none that the Hub knows."},
    403: {"model": ErrorResponse, "description": "This account may not submit."},
    409: {
        "model": SubmissionResponse,
        "description": "There is a request that has not ended, or is for this commit; or edits are off.",
    },
    413: {"model": ErrorResponse, "description": "The body is too long."},
    422: {
        "model": SubmissionResponse,
        "description": "It would be refused, with every reason; or a field is not right.",
    },
    429: {"model": SubmissionResponse, "description": "The quota is used up; or too much was asked within an hour."},
    503: {"model": ErrorResponse, "description": "The Hub, or the queue's server, does not answer."},
}


class Submitting:
    """The submissions by program to one board."""

    def __init__(self, context: BoardContext, visitors: Visitors) -> None:
        self.context = context
        self.owners = Owners(context)
        self.visitors = visitors
        self._submissions = ApiSubmissions(context.redis, context.keys)
        self._patience = AnswerWaiter()

    async def signed_in(self, request: Request, said: str) -> Account:
        """Who is signed in, in a browser whose page says the form token. Raises CannotAnswer."""
        visitor = await run_in_threadpool(self.visitors.of, request)
        if visitor is None:
            raise unknown("There is no token.")
        visitor.expect(said)
        return await run_in_threadpool(self.owners.a_person, Account(visitor.person.id, visitor.name), "user")

    async def submit(self, submission: ApiSubmission) -> SubmissionResponse:
        """What came of it, as soon as it is known, or that it is under way. Raises CannotAnswer."""
        body = await run_in_threadpool(self._put, submission)
        if body is None:
            body = await self._patience.wait(lambda: self._submissions.read(submission.digest))
        return SubmissionResponse.model_validate_json(body) if body is not None else self._under_way(submission)

    def _put(self, submission: ApiSubmission) -> bytes | None:
        """The answer, where there is one; else it is noted, if its person may go on, and a sync called."""
        digest = submission.digest
        earlier = self._submissions.find(digest)
        if earlier is not None and earlier.arguments != submission.arguments:
            message = "This Idempotency-Key was used for another submission within a day."
            raise CannotAnswer(422, ErrorResponse(code="key-reused", message=message, advice="Choose another key."))
        if (body := self._submissions.read(digest)) is not None:
            return body
        if earlier is None:
            self._refuse_too_many(submission)
            self._submissions.put(submission)
        self.context.mark(f"{SUBMISSION}:{digest}")
        return None

    def _refuse_too_many(self, submission: ApiSubmission) -> None:
        if wait := round(seconds_to_wait(self.context, submission.person, submission.cause)):
            message = f"You have had {MAX_COMMANDS} things done within an hour, in threads and here."
            problem = ErrorResponse(code="too-many", message=message, advice=f"Submit it again in {wait} s.")
            raise CannotAnswer(429, problem, {"retry-after": str(wait)})

    def _under_way(self, submission: ApiSubmission) -> SubmissionResponse:
        model = submission.arguments["model"]
        named = as_request(
            model,
            revision=submission.arguments["revision"],
            precision=submission.arguments["precision"],
            weight_type=submission.arguments["weight_type"],
        )
        return SubmissionResponse(
            code="under-way",
            message=f"{model} is being checked.",
            advice=f"Send the same again in {AGAIN} s to hear what came of it; it counts once.",
            model=model,
            **({} if isinstance(named, Reason) else request_addresses(self.context, str(named.path))),
        )


def submit_routes(submitting: Submitting) -> APIRouter:
    """The one route that takes something in."""
    routes = APIRouter(prefix="/api", tags=["api"])

    @routes.post(
        "/requests",
        summary="Submit a model",
        status_code=202,
        response_model=SubmissionResponse,
        responses=ANSWERS,
        openapi_extra=BODY,
    )
    async def submit(
        request: Request,
        bearer: Annotated[HTTPAuthorizationCredentials | None, Security(BEARER)],
        idempotency_key: Annotated[
            str, Header(max_length=200, description="sent again with the same key within a day, it counts once")
        ] = "",
        x_csrf_token: Annotated[
            str, Header(max_length=200, description="`csrf` of /api/me, where a page of ours sends its cookie")
        ] = "",
    ) -> Response:
        """Submit a model in the name of whoever owns the token: checked and answered as `/submit` in a thread is."""
        account, token = None, ""
        if bearer is None:
            account = await submitting.signed_in(request, x_csrf_token)
        else:
            token = shown_token(bearer)
        arguments = arguments_in(await body_of(request))
        if account is None:
            account = await submitting.owners.person(token, client_of(request))
        submission = _submission(account, arguments, idempotency_key, submitting.context.now())
        return _answer(await submitting.submit(submission))

    return routes


def _submission(account: Account, arguments: dict[str, str], key: str, at: float) -> ApiSubmission:
    return ApiSubmission(person_id=account.id, person_name=account.name, arguments=arguments, key=key, at=at)


def _answer(told: SubmissionResponse) -> Response:
    headers = {**FRESH, "cache-control": "no-store"}
    if told.code in ("under-way", "hub-refused"):
        headers["retry-after"] = str(AGAIN if told.code == "under-way" else 60)
    return Response(told.model_dump_json(), STATUSES[told.code], headers, media_type="application/json")


def arguments_in(body: bytes) -> dict[str, str]:
    """The arguments of `/submit` in a body. Raises CannotAnswer where they are none, or not right."""
    try:
        asked = SubmissionBody.model_validate_json(body)
    except ValidationError as error:
        raise _misread(error) from None
    arguments = arguments_of(asked)
    if isinstance(arguments, str):
        raise _wrong(arguments)
    return arguments


def _misread(error: ValidationError) -> CannotAnswer:
    first = error.errors(include_url=False, include_input=False)[0]
    if first["type"] == "json_invalid":
        problem = ErrorResponse(code="bad-json", message="The body is no JSON.", advice="Send a JSON object, in UTF-8.")
        return CannotAnswer(400, problem)
    field = ".".join(map(str, first["loc"]))[:60]
    return _wrong(f"{field}: {first['msg'][:200]}." if field else f"{first['msg'][:200]}.")


def _wrong(why: str) -> CannotAnswer:
    return CannotAnswer(422, ErrorResponse(code="bad-body", message=why, advice="See /openapi.json for what is taken."))
