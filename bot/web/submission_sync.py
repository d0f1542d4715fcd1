"""The sync of a submission by API, which does what `/submit` does in a thread: check the model, then stage one edit.

The submitter waits at the web server for the answer, and finds it there for a day. While the Hub is away the sync
fails and is retried.

Race closed: the sync dies after the edit was staged and before the answer is stored. The second run stages the edit
under the same name, or finds that the file names this submission as its cause.
"""

from __future__ import annotations

from collections.abc import Set
from datetime import UTC, datetime
from urllib.parse import quote

import structlog

from bot.core import people
from bot.core.commands.grammar import Command, Word
from bot.core.commands.registry import BadArguments, bind
from bot.core.context import BoardContext
from bot.core.decision_records import record_decision
from bot.read_models.check_models import ReasonView
from bot.read_models.submit_models import Code, SubmissionBody, SubmissionResponse
from bot.requests import submitting
from bot.requests.verb_submit import SUBMIT, may_resubmit, result_text, submit_command
from hub.errors import BadToken, HubError, RateLimited, Transient
from leaderboard.requests import Status
from leaderboard.roles import Role
from redis_state.board.submissions import PENDING_RETENTION, RETENTION, ApiSubmission, ApiSubmissions
from redis_state.clock import iso

log = structlog.get_logger()

QUOTAS = frozenset({"quota-submitter", "quota-organisation"})
SENTENCES: dict[Code, tuple[str, str]] = {
    "submitted": (
        "{model} was checked and is submitted.",
        "Follow it at json_url. Its file appears within a minute or two; if not within ten, send this again.",
    ),
    "resubmitted": (
        "{model} was checked, and the commit that you asked for waits for its evaluation.",
        "Follow it at json_url. An existing result stays until the new one is ready.",
    ),
    "refused": (
        "{model} was not submitted, because it would be refused as it is.",
        "Fix what the reasons say, then submit it again.",
    ),
    "quota": (
        "{model} was not submitted, because a quota of submissions is used up.",
        "The reasons say whose quota it is, and over how many days. Submit it again later.",
    ),
    "exists": (
        "There is already a request for {model} at this precision.",
        "Follow it at json_url. Once it has ended, its submitter, the model's owner and maintainers may submit a newer "
        "commit.",
    ),
    "unreadable": (
        "There is already a file for {model} that cannot be read as a request, so nothing was submitted.",
        "Ask a maintainer to replace or remove it.",
    ),
    "off": (
        "This leaderboard takes no submissions at the moment: its edits are off or in shadow.",
        "Ask its maintainers when they will be on.",
    ),
    "not-allowed": ("This account may not submit models here.", "Ask the maintainers of the leaderboard."),
    "hub-refused": (
        "The Hub did not let the leaderboard read {model}, so nothing was submitted.",
        "Try again in a few minutes. If it happens again, tell the maintainers.",
    ),
}
"""Code → message and advice."""
DONE = ("submitted", "resubmitted")
CODES: dict[str, Code] = {
    "submitted": "submitted",
    "resubmitted": "resubmitted",
    "refused": "refused",
    "exists": "exists",
    "unreadable": "unreadable",
    "off": "off",
}
"""Outcome of `submitting.submit` → code of the response."""


def sync_submission(context: BoardContext, digest: str) -> None:
    """Execute the submission with this digest and store the answer, unless that was done before."""
    submissions = ApiSubmissions(context.redis, context.keys)
    submission = submissions.find(digest)
    if submission is None or submissions.read(digest) is not None:
        return
    response = carry_out(context, submission)
    lasts = response.code in DONE or (submission.key and response.code not in ("off", "hub-refused"))
    submissions.answer(digest, response.model_dump_json(), seconds=RETENTION if lasts else PENDING_RETENTION)


def arguments_of(body: SubmissionBody) -> dict[str, str] | str:
    """The arguments of `/submit` in the body of a request; a sentence that says what is wrong if they are invalid."""
    words = tuple(Word(value, key=name, quoted=True) for name, value in body.arguments().items())
    bound = bind(SUBMIT, Command(SUBMIT.name, words, ""))
    return bound.why if isinstance(bound, BadArguments) else dict(bound)


def carry_out(context: BoardContext, submission: ApiSubmission) -> SubmissionResponse:
    """Check the model and stage its request, as `/submit` does. Raises a HubError that a retry may overcome."""
    command = submit_command(submission.arguments, submitter=submission.person_name)
    try:
        _, roles = people.roles(
            context, submission.person, model=command.model, submitter="", fresh=False, enough=SUBMIT.who
        )
        if not roles & SUBMIT.who:
            return _refusal("not-allowed", command.model)
        may = may_resubmit(context, submission.person)
        done = submitting.submit(context, command, cause=submission.cause, may_resubmit=may)
        if done.how in DONE:
            _record(context, submission, done, roles)
        return _submission_response(context, done)
    except (Transient, RateLimited, BadToken):
        raise  # the sync is retried
    except HubError as error:
        log.warning("a submission failed", error=f"{type(error).__name__}: {error}")
        return _refusal("hub-refused", command.model)


def _record(context: BoardContext, submission: ApiSubmission, done: submitting.SubmitResult, roles: Set[Role]) -> None:
    """Record the submission with the decisions made in threads. Refused ones changed nothing and are not recorded."""
    at = submission.at or context.now()
    options = {name: value for name, value in submission.arguments.items() if name != "model"}
    command = " ".join((f"/submit {done.model}", *(f"{name}={value}" for name, value in options.items())))
    fields = {
        "at": iso(at),
        "person": {"id": submission.person_id, "name": submission.person_name},
        "roles": sorted(roles),
        "command": command,
        "verb": SUBMIT.name,
        "arguments": submission.arguments,
        "requests": [done.path],
        "model": done.model,
        "allowed": True,
        "answer": str(result_text(context, done, by_program=True)),
        "thread": None,
        "comment": f"api-{submission.digest}-{int(at)}",
        "number": 0,
        "board": context.board.name,
    }
    cause = f"{submission.cause}:{int(at)}"
    record_decision(
        context, fields, datetime.fromtimestamp(at, UTC), cause=cause, line="Record a submission by program"
    )


def _submission_response(context: BoardContext, done: submitting.SubmitResult) -> SubmissionResponse:
    """The outcome as the API's response."""
    code = CODES[done.how]
    if code == "refused" and all(reason.code in QUOTAS for reason in done.reasons):
        code = "quota"
    message, advice = SENTENCES[code]
    has_file = code in (*DONE, "exists", "unreadable")
    return SubmissionResponse(
        code=code,
        message=message.format(model=done.model),
        advice=advice,
        model=done.model,
        text=str(result_text(context, done, by_program=True)),
        revision=done.sha,
        status=done.status or (Status.PENDING.value if code == "submitted" else ""),
        reasons=[ReasonView(**reason.model_dump()) for reason in done.reasons],
        **(request_addresses(context, done.path) if has_file else {}),
    )


def _refusal(code: Code, model: str) -> SubmissionResponse:
    message, advice = SENTENCES[code]
    return SubmissionResponse(code=code, message=message.format(model=model), advice=advice, model=model)


def request_addresses(context: BoardContext, path: str) -> dict[str, str]:
    """The addresses under which the request at `path` can be followed."""
    quoted = quote(path)
    return {
        "path": path,
        "json_url": f"/api/requests/{quoted}",
        "page_url": f"/requests/{quoted}",
        "request_url": context.address(context.requests, path),
    }
