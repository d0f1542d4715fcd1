"""A submission outside of a thread, by the API, a page or `steward submit`: it does what `/submit` does in a thread.

Race closed: the process dies after the edit was staged and before the answer is stored. The second run stages the edit
under the same name, or finds that the file names this submission as its cause.
"""

from __future__ import annotations

from collections.abc import Set
from datetime import UTC, datetime
from typing import get_args
from urllib.parse import quote

import structlog

from bot.core import people
from bot.core.commands.grammar import Command, Word
from bot.core.commands.model import Arguments
from bot.core.commands.registry import BadArguments, bind
from bot.core.context import BoardContext
from bot.core.decision_records import record_decision
from bot.model_pages.verb_publish_scores import publish_from_form
from bot.read_models.submit_models import Code, SubmissionBody, SubmissionResponse
from bot.requests.submitting import SubmitResult
from bot.requests.verb_submit import SUBMIT, result_sentences, result_text, submit_model
from hub.errors import BadToken, HubError, RateLimited, Transient
from leaderboard.requests import Status
from leaderboard.roles import Role
from redis_state.board.messages import ApiSubmission
from redis_state.clock import iso

log = structlog.get_logger()

DONE = ("submitted", "resubmitted")
PUBLISH_SCORES = "publish_scores"
"""Argument that says whether the form's box for the model's own page was ticked; the API takes no such argument."""
CODES: dict[str, Code] = {code: code for code in get_args(Code)}
"""Outcome of a submission → code of the response."""


def arguments_of(body: SubmissionBody, endpoint: str = "") -> Arguments | BadArguments:
    """The arguments of `/submit` in the body of a request, or why they are invalid. `endpoint` is that of the Hub."""
    words = tuple(Word(value, key=name, quoted=True) for name, value in body.arguments().items())
    return bind(SUBMIT, Command(SUBMIT.name, words, ""), endpoint)


def carry_out(context: BoardContext, submission: ApiSubmission) -> SubmissionResponse:
    """Check the model and stage its request, as `/submit` does. Raises a HubError that a retry may overcome."""
    model = submission.arguments["model"]
    try:
        _, roles = people.roles(context, submission.person, model=model, submitter="", fresh=False, enough=SUBMIT.who)
        if not roles & SUBMIT.who:
            return submission_response(context, SubmitResult("not-allowed", model))
        result = submit_model(context, submission.person, submission.arguments, cause=submission.cause)
        page = _publish_scores(context, submission, result)
        if result.how in DONE or page:
            _record(context, submission, result, roles)
        return submission_response(context, result, model_page=page)
    except (Transient, RateLimited, BadToken):
        raise  # the sync is retried
    except HubError as error:
        log.warning("a submission failed", error=f"{type(error).__name__}: {error}")
        return submission_response(context, SubmitResult("hub-refused", model))


def _publish_scores(context: BoardContext, submission: ApiSubmission, result: SubmitResult) -> str:
    """The answer to the box for the model's own page, if it was ticked and the model has a request; else ""."""
    if submission.arguments.get(PUBLISH_SCORES) != "yes" or result.how not in (*DONE, "exists"):
        return ""
    return str(publish_from_form(context, result.model, result.path, submission.person, cause=submission.cause))


def _record(context: BoardContext, submission: ApiSubmission, result: SubmitResult, roles: Set[Role]) -> None:
    """Record the submission with the decisions made in threads. Refused ones changed nothing and are not recorded."""
    at = submission.at or context.now()
    options = {name: value for name, value in submission.arguments.items() if name != "model"}
    command = " ".join((f"/submit {result.model}", *(f"{name}={value}" for name, value in options.items())))
    fields = {
        "at": iso(at),
        "person": {"id": submission.person_id, "name": submission.person_name},
        "roles": sorted(roles),
        "command": command,
        "verb": SUBMIT.name,
        "arguments": submission.arguments,
        "requests": [result.path],
        "model": result.model,
        "allowed": True,
        "outcome": "done",
        "answer": str(result_text(context, result, by_program=True)),
        "thread": None,
        "comment": f"api-{submission.message_id}-{int(at)}",
        "number": 0,
        "board": context.board.name,
    }
    cause = f"{submission.cause}:{int(at)}"
    record_decision(
        context, fields, datetime.fromtimestamp(at, UTC), cause=cause, line="Record a submission by program"
    )


def submission_response(context: BoardContext, result: SubmitResult, *, model_page: str = "") -> SubmissionResponse:
    """The outcome as the API's response. It names the request's file where there is one, or there may be one soon."""
    code = CODES[result.how]
    message, advice = result_sentences(context, result)
    has_file = result.path and code in (*DONE, "exists", "unreadable", "under-way")
    return SubmissionResponse(
        code=code,
        message=message,
        advice=advice,
        model=result.model,
        text=str(result_text(context, result, by_program=True)),
        revision=result.sha,
        status=result.status or (Status.PENDING.value if code == "submitted" else ""),
        reasons=list(result.reasons),
        model_page=model_page,
        **(_addresses(context, result.path) if has_file else {}),
    )


def _addresses(context: BoardContext, path: str) -> dict[str, str]:
    """The addresses under which the request at `path` can be followed."""
    quoted = quote(path)
    return {
        "path": path,
        "json_url": f"/api/requests/{quoted}",
        "page_url": f"/requests/{quoted}",
        "request_url": context.address(context.requests, path),
    }
