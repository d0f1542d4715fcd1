"""Carry out what somebody submitted by a program, as `/submit` does in a thread: checked first, then one edit.

Whoever submitted it waits at the web server for the answer, and finds it there for a day. Where the Hub is away the
submission waits here, and is tried again.

Race closed: a sync dies after the edit was staged, and before the answer is kept. It is done again; the edit has the
same name, and the file, once it is there, says that this very submission has caused it.
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
        "Follow it at json_url; its file appears within a minute or two. Is there none after ten, send this again.",
    ),
    "resubmitted": (
        "{model} was checked, and its request waits for an evaluation of the commit that you ask for.",
        "Follow it at json_url. A result that it has stays until the new one is there.",
    ),
    "refused": (
        "{model} was not submitted, because it would be refused as it is.",
        "Mend what the reasons say, then submit it again.",
    ),
    "quota": (
        "{model} was not submitted, because as many as may be were submitted lately.",
        "The reasons tell whose limit it is, and over how many days. Submit it again later.",
    ),
    "exists": (
        "There is a request for {model} at this precision already.",
        "Follow it at json_url. Once it has ended, its submitter, the model's owner and maintainers may submit a newer "
        "commit.",
    ),
    "unreadable": (
        "There is a file for {model} already that cannot be read as a request; it was left as it is.",
        "A maintainer has to replace or remove it first.",
    ),
    "off": (
        "Edits are off or in shadow on this leaderboard, so nothing was submitted.",
        "Ask its maintainers when they will be on.",
    ),
    "not-allowed": ("This account may not submit models here.", "Ask the maintainers of the leaderboard."),
    "hub-refused": (
        "The Hub did not let the leaderboard look at {model}, so nothing was submitted.",
        "Try again in a few minutes. Should it go on, tell the maintainers.",
    ),
}
DONE = ("submitted", "resubmitted")
CODES: dict[str, Code] = {
    "submitted": "submitted",
    "resubmitted": "resubmitted",
    "refused": "refused",
    "exists": "exists",
    "unreadable": "unreadable",
    "off": "off",
}
"""What may come of a submission → what it is called here."""


def sync_submission(context: BoardContext, digest: str) -> None:
    """Carry out the submission of this name and keep the answer, unless that was done before."""
    submissions = ApiSubmissions(context.redis, context.keys)
    submission = submissions.find(digest)
    if submission is None or submissions.read(digest) is not None:
        return
    told = carry_out(context, submission)
    lasts = told.code in DONE or (submission.key and told.code not in ("off", "hub-refused"))
    submissions.answer(digest, told.model_dump_json(), seconds=RETENTION if lasts else PENDING_RETENTION)


def arguments_of(asked: SubmissionBody) -> dict[str, str] | str:
    """The arguments of `/submit` for what somebody asked for by a program; a sentence where they are not right."""
    said = tuple(Word(value, key=name, quoted=True) for name, value in asked.arguments().items())
    bound = bind(SUBMIT, Command(SUBMIT.name, said, ""))
    return bound.why if isinstance(bound, BadArguments) else dict(bound)


def carry_out(context: BoardContext, submission: ApiSubmission) -> SubmissionResponse:
    """Check it and write it, as `/submit` does; what came of it. Raises HubError where that passes by itself."""
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
        raise  # it would be the same with all others, and passes
    except HubError as error:
        log.warning("a submission failed", error=f"{type(error).__name__}: {error}")
        return _refusal("hub-refused", command.model)


def _record(context: BoardContext, submission: ApiSubmission, done: submitting.SubmitResult, roles: Set[Role]) -> None:
    """Keep it beside what is decided in threads. What was not submitted left nothing, and nobody else heard of it."""
    at = submission.at or context.now()
    given = {name: value for name, value in submission.arguments.items() if name != "model"}
    command = " ".join((f"/submit {done.model}", *(f"{name}={value}" for name, value in given.items())))
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
    """What came of it, as the API tells it."""
    code = CODES[done.how]
    if code == "refused" and all(one.code in QUOTAS for one in done.reasons):
        code = "quota"
    status = done.status or (Status.PENDING.value if code == "submitted" else "")
    told = _refusal(code, done.model).model_copy(
        update={
            "text": str(result_text(context, done, by_program=True)),
            "revision": done.sha,
            "status": status,
            "reasons": [ReasonView(**one.model_dump()) for one in done.reasons],
        }
    )
    return (
        told.model_copy(update=request_addresses(context, done.path))
        if code in (*DONE, "exists", "unreadable")
        else told
    )


def _refusal(code: Code, model: str) -> SubmissionResponse:
    message, advice = SENTENCES[code]
    return SubmissionResponse(code=code, message=message.format(model=model), advice=advice, model=model)


def request_addresses(context: BoardContext, path: str) -> dict[str, str]:
    """Where the request at `path` can be followed."""
    quoted = quote(path)
    return {
        "path": path,
        "json_url": f"/api/requests/{quoted}",
        "page_url": f"/requests/{quoted}",
        "request_url": context.address(context.requests, path),
    }
