"""`POST /api/requests`: submit a model by a program, with a personal token, as `/submit` does in a thread.

The order matters: check that there is a token, read the body within its bounds, identify the token's owner, check
their rate limit. Then the submission is stored in Redis for a sync, which has the bot's token and does exactly what it
does for a thread. The submitter is the token's owner; no field of the body can change that. Scripts on our own pages
send no token: then the submitter is the signed-in person, and the session's form token proves that the page is ours.
"""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Header, Request, Security
from fastapi.responses import Response
from fastapi.security import HTTPAuthorizationCredentials
from pydantic import ValidationError
from starlette.concurrency import run_in_threadpool

from bot.core.commands.registry import BadArguments
from bot.core.context import BoardContext
from bot.model_facts.checking import as_request
from bot.read_models.models import ErrorResponse
from bot.read_models.submit_models import SubmissionBody, SubmissionResponse
from bot.requests.api_submission import arguments_of, submission_response
from bot.requests.submitting import SubmitResult
from bot.threads.limits import MAX_COMMANDS, seconds_to_wait
from bot.web.answers import FRESH, CannotAnswer
from bot.web.asking import RETRY_SECONDS, SyncAsker
from bot.web.incoming import body_of, client_of, over_limit
from bot.web.tokens import BEARER, TokenOwners, shown_token, unknown
from bot.web.visitors import Visitors
from hub.records import Account
from leaderboard.reasons import Problem
from redis_state.board.messages import ApiSubmission, PredictionUpload

MAX_UPLOADS = 20
"""Files of predictions that all persons may send within a minute: each waits in memory for its sync."""
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
    202: {"model": SubmissionResponse, "description": "Submitted, or still being checked: then send it again."},
    400: {"model": ErrorResponse, "description": "The body is not JSON."},
    401: {"model": ErrorResponse, "description": "There is no token, or the Hub does not know it."},
    403: {"model": ErrorResponse, "description": "This account may not submit."},
    409: {
        "model": SubmissionResponse,
        "description": "There is a request that has not ended, or is for this commit; or edits are off.",
    },
    413: {"model": ErrorResponse, "description": "The body is too long."},
    422: {
        "model": SubmissionResponse,
        "description": "The model would be refused, with every reason; or a field is not valid.",
    },
    429: {"model": SubmissionResponse, "description": "The quota is used up; or there were too many within an hour."},
    503: {"model": ErrorResponse, "description": "The Hub, or the queue's server, does not answer."},
}


class Submitting:
    """Submissions by API to one board."""

    def __init__(self, context: BoardContext, visitors: Visitors) -> None:
        self.context = context
        self.owners = TokenOwners(context)
        self.visitors = visitors
        self._asker = SyncAsker(context, ApiSubmission, SubmissionResponse)
        self._uploads = SyncAsker(context, PredictionUpload, SubmissionResponse)

    async def signed_in(self, request: Request, form_token: str) -> Account:
        """The account of the signed-in visitor, whose page sent `form_token`. Raises CannotAnswer."""
        visitor = await run_in_threadpool(self.visitors.of, request)
        if visitor is None:
            raise unknown("There is no token.")
        visitor.expect(form_token)
        return await run_in_threadpool(self.owners.check_person, Account(visitor.person.id, visitor.name), "user")

    async def submit(self, submission: ApiSubmission) -> SubmissionResponse:
        """The outcome as soon as a sync has stored it, else a response that it is under way. Raises CannotAnswer."""
        await run_in_threadpool(self._refuse_reused_key, submission)
        response = await self._asker.ask(submission, lambda is_new: self._refuse_too_many(submission, is_new))
        return response if response is not None else await run_in_threadpool(self.under_way, submission)

    def sent(self, message_id: str) -> tuple[ApiSubmission | None, SubmissionResponse | None]:
        """The submission with this id, and its outcome, as far as they are stored."""
        mailbox = self._asker.mailbox
        return (mailbox.find(message_id), mailbox.read(message_id)) if message_id else (None, None)

    def _refuse_reused_key(self, submission: ApiSubmission) -> None:
        earlier = self._asker.mailbox.find(submission.message_id)
        if earlier is not None and earlier.arguments != submission.arguments:
            message = "This Idempotency-Key was used for another submission within a day."
            raise CannotAnswer(422, ErrorResponse(code="key-reused", message=message, advice="Use another key."))

    async def upload(self, upload: PredictionUpload) -> SubmissionResponse | None:
        """The outcome of a file of predictions as soon as a sync has stored it; else None. Raises CannotAnswer."""
        return await self._uploads.ask(upload, lambda is_new: self._refuse_upload(upload, is_new))

    def uploaded(self, message_id: str) -> tuple[PredictionUpload | None, SubmissionResponse | None]:
        """The upload with this id, and its outcome, as far as they are stored."""
        return self._uploads.mailbox.find(message_id), self._uploads.mailbox.read(message_id)

    def _refuse_too_many(self, submission: ApiSubmission | PredictionUpload, is_new: bool) -> None:
        if is_new and (wait := round(seconds_to_wait(self.context, submission.person, submission.cause))):
            message = f"You have reached the limit of {MAX_COMMANDS} actions within an hour, in threads and here."
            problem = ErrorResponse(code="too-many", message=message, advice=f"Submit it again in {wait} s.")
            raise CannotAnswer(429, problem, {"retry-after": str(wait)})

    def _refuse_upload(self, upload: PredictionUpload, is_new: bool) -> None:
        self._refuse_too_many(upload, is_new)
        if is_new and (wait := over_limit(self.context, "uploads", limit=MAX_UPLOADS)):
            message = "There are too many files of predictions at the moment."
            problem = ErrorResponse(code="too-many", message=message, advice=f"Send yours again in {wait} s.")
            raise CannotAnswer(429, problem, {"retry-after": str(wait)})

    def under_way(self, submission: ApiSubmission) -> SubmissionResponse:
        """The response while no sync has stored the outcome: it names the path of the future request."""
        words = submission.arguments
        model, precision = words["model"], words["precision"]
        request = as_request(model, revision=words["revision"], precision=precision, weight_type=words["weight_type"])
        path = "" if isinstance(request, Problem) else str(request.path)
        return submission_response(self.context, SubmitResult("under-way", model, path))


def submit_routes(submitting: Submitting) -> APIRouter:
    """The route that takes submissions."""
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
            str, Header(max_length=200, description="requests with the same key within a day count once")
        ] = "",
        x_csrf_token: Annotated[
            str, Header(max_length=200, description="`csrf` of /api/me, if a page of ours sends its cookie")
        ] = "",
    ) -> Response:
        """Submit a model in the name of the token's owner: checked and answered like `/submit` in a thread."""
        account, token = None, ""
        if bearer is None:
            account = await submitting.signed_in(request, x_csrf_token)
        else:
            token = shown_token(bearer)
        arguments = arguments_in(await body_of(request), submitting.context.hub.endpoint)
        if account is None:
            account = await submitting.owners.person(token, client_of(request))
        submission = submission_of(account, arguments, idempotency_key, submitting.context.now())
        return _answer(await submitting.submit(submission))

    return routes


def submission_of(account: Account, arguments: dict[str, str], key: str, at: float) -> ApiSubmission:
    """The message of a submission by `account`."""
    return ApiSubmission(person_id=account.id, person_name=account.name, arguments=arguments, key=key, at=at)


def _answer(response: SubmissionResponse) -> Response:
    headers = {**FRESH, "cache-control": "no-store"}
    if response.code in ("under-way", "hub-refused"):
        headers["retry-after"] = str(RETRY_SECONDS if response.code == "under-way" else 60)
    return Response(response.model_dump_json(), STATUSES[response.code], headers, media_type="application/json")


def arguments_in(body: bytes, endpoint: str = "") -> dict[str, str]:
    """The arguments of `/submit` in a body. Raises CannotAnswer if they are missing or invalid."""
    try:
        fields = SubmissionBody.model_validate_json(body)
    except ValidationError as error:
        raise _invalid(error) from None
    arguments = arguments_of(fields, endpoint)
    if isinstance(arguments, BadArguments):
        raise _bad_body(arguments.why)
    return dict(arguments)


def _invalid(error: ValidationError) -> CannotAnswer:
    first = error.errors(include_url=False, include_input=False)[0]
    if first["type"] == "json_invalid":
        message = "The body is not JSON."
        problem = ErrorResponse(code="bad-json", message=message, advice="Send a JSON object, in UTF-8.")
        return CannotAnswer(400, problem)
    field = ".".join(map(str, first["loc"]))[:60]
    return _bad_body(f"{field}: {first['msg'][:200]}." if field else f"{first['msg'][:200]}.")


def _bad_body(message: str) -> CannotAnswer:
    problem = ErrorResponse(code="bad-body", message=message, advice="See /openapi.json for the fields.")
    return CannotAnswer(422, problem)
