"""The syncs that answer messages of the web server: checks, published answers, submissions, commands and actions of
signed-in persons.

A sync whose call to the Hub fails is retried; meanwhile the sender waits, or asks again.

Race closed: the sync of an action dies after it woke a key and before it stored the answer. The outcome is settled
first, so the second run records the same outcome, and does not answer that the key was never parked.
Race accepted: a person stops being a maintainer after their role was read. Waking a sync destroys nothing.
"""

from __future__ import annotations

import secrets
from collections.abc import Set
from datetime import UTC, datetime
from typing import Any

from bot.core import people
from bot.core.context import BoardContext
from bot.core.decision_records import record_decision
from bot.core.render import render
from bot.read_models.check_models import CheckResponse
from bot.read_models.details_models import DetailsResponse
from bot.read_models.submit_models import SubmissionResponse
from bot.requests.api_submission import DONE, carry_out
from bot.requests.prediction_upload import carry_out_upload
from bot.requests.verb_check import check_model
from bot.results.details_reader import read_details
from bot.threads.page_commands import run_page_command
from hub.errors import BadRequest, Denied, NotFound
from hub.records import Repo
from leaderboard.roles import WRITERS, Role
from redis_state.board.mailbox import Mailbox
from redis_state.board.messages import (
    CHECK_ANSWER_RETENTION,
    DETAILS_RETENTION,
    NAMES_RETENTION,
    PENDING_RETENTION,
    ROLE_RETENTION,
    ApiSubmission,
    CheckQuestion,
    Code,
    DetailsQuestion,
    MaintainerAction,
    MaintainerActionResult,
    NameAnswer,
    NameQuestion,
    PageCommand,
    PageCommandResult,
    PredictionUpload,
)
from redis_state.clock import iso

ALLOWED_ROLES = frozenset({Role.MAINTAINER})
MAX_NAMES = 8
"""Names of models that are suggested to a person who types one."""
_REQUEST = "request:"


def sync_check(context: BoardContext, message_id: str) -> None:
    """Answer the question with this id, unless it has expired or has its answer."""
    mailbox = Mailbox(context.redis, context.keys, CheckQuestion, CheckResponse)
    if (question := mailbox.unanswered(message_id)) is not None:
        response = check_model(context, **question.model_dump())
        mailbox.answer(message_id, response, seconds=CHECK_ANSWER_RETENTION)


def sync_names(context: BoardContext, message_id: str) -> None:
    """Answer with the Hub's models whose name contains, or is, the text of the question. Raises HubError."""
    mailbox = Mailbox(context.redis, context.keys, NameQuestion, NameAnswer)
    if (question := mailbox.unanswered(message_id)) is not None:
        words = question.words
        names = _named(context, words) if question.exact else context.hub.models_named(words, limit=MAX_NAMES)
        mailbox.answer(message_id, NameAnswer(names=names), seconds=NAMES_RETENTION)


def _named(context: BoardContext, name: str) -> list[str]:
    """The public model of this name, if there is one."""
    try:
        return [] if context.hub.is_private(Repo("model", name)) else [name]
    except (NotFound, Denied, BadRequest):
        return []


def sync_details(context: BoardContext, message_id: str) -> None:
    """Read the part of the published answers that the question with this id asks for. Raises HubError."""
    mailbox = Mailbox(context.redis, context.keys, DetailsQuestion, DetailsResponse)
    if (question := mailbox.unanswered(message_id)) is not None:
        mailbox.answer(message_id, read_details(context, question), seconds=DETAILS_RETENTION)


def sync_submission(context: BoardContext, message_id: str) -> None:
    """Execute the submission with this id and store the answer, unless that was done before."""
    mailbox = Mailbox(context.redis, context.keys, ApiSubmission, SubmissionResponse)
    if (submission := mailbox.unanswered(message_id)) is not None:
        response = carry_out(context, submission)
        lasts = response.code in DONE or (submission.key and response.code not in ("off", "hub-refused"))
        mailbox.answer(message_id, response, seconds=submission.RETENTION if lasts else PENDING_RETENTION)


def sync_upload(context: BoardContext, message_id: str) -> None:
    """Execute the upload with this id and store the answer, unless that was done before."""
    mailbox = Mailbox(context.redis, context.keys, PredictionUpload, SubmissionResponse)
    if (upload := mailbox.unanswered(message_id)) is not None:
        response = carry_out_upload(context, upload)
        mailbox.answer(message_id, response, seconds=upload.RETENTION, rest=upload.without_data())


def sync_page_command(context: BoardContext, message_id: str) -> None:
    """Run the command with this id and store the answer, unless that was done before. Raises HubError."""
    mailbox = Mailbox(context.redis, context.keys, PageCommand, PageCommandResult)
    if (command := mailbox.unanswered(message_id)) is not None:
        run = secrets.token_hex(8)
        resumed = mailbox.settle(message_id, run) != run  # an earlier run began, and died or failed
        mailbox.answer(message_id, run_page_command(context, command, resumed=resumed), seconds=command.RETENTION)


def sync_maintainer_action(context: BoardContext, message_id: str) -> None:
    """Execute the action with this id and store the answer, unless that was done before. Raises HubError."""
    mailbox = Mailbox(context.redis, context.keys, MaintainerAction, MaintainerActionResult)
    if (action := mailbox.unanswered(message_id)) is None:
        return
    if action.what == "own":
        is_owner = people.role_in(context, action.about, action.person, fresh=True) in WRITERS
        owned = MaintainerActionResult(code="owner" if is_owner else "stranger")
        mailbox.answer(message_id, owned, seconds=ROLE_RETENTION)
        return
    _, roles = people.roles(context, action.person, model="", submitter="", fresh=True, enough=ALLOWED_ROLES)
    if action.what == "look":
        role = MaintainerActionResult(code="maintainer" if roles & ALLOWED_ROLES else "stranger")
        mailbox.answer(message_id, role, seconds=ROLE_RETENTION)
        return
    settled = mailbox.settle(message_id, _outcome(context, action, roles))
    result = MaintainerActionResult.model_validate({"code": settled})
    at = datetime.fromtimestamp(action.at, UTC)
    fields = _decision_fields(context, action, roles, result.code)
    record_decision(context, fields, at, cause=f"page:{action.id}", line="Record a wake")
    if result.code == "woken":
        context.parking.wake(action.about, now=context.now())
    mailbox.answer(message_id, result, seconds=action.RETENTION)


def _outcome(context: BoardContext, action: MaintainerAction, roles: Set[Role]) -> Code:
    if not roles & ALLOWED_ROLES:
        return "not-allowed"
    return "woken" if any(parked.key == action.about for parked in context.parking.all()) else "not-parked"


def _decision_fields(context: BoardContext, action: MaintainerAction, roles: Set[Role], code: Code) -> dict[str, Any]:
    path = action.about.removeprefix(_REQUEST) if action.about.startswith(_REQUEST) else ""
    entry = context.index.find([path])[0] if path else None
    # Decisions are public: the record does not name the request of a model that is not public.
    is_named = not path or (entry is not None and entry.standing.access == "public")
    key = action.about if is_named else f"{_REQUEST}…"
    return {
        "at": iso(action.at),
        "person": {"id": action.person_id, "name": action.person_name},
        "roles": sorted(roles),
        "command": f"wake {key}",
        "verb": "wake",
        "arguments": {"key": key},
        "requests": [path] if path and is_named else [],
        "model": entry.model if entry is not None and is_named else "",
        "allowed": code != "not-allowed",
        "outcome": {"woken": "done", "not-parked": "unchanged"}.get(code, "refused"),
        "answer": render("woken", code=code).strip(),
        "thread": None,
        "comment": f"page-{action.id}",
        "number": 0,
        "board": context.board.name,
    }
