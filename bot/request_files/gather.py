"""What a request's file, the index and Redis say together: which attempt is the current one, and whether it lives."""

from __future__ import annotations

from dataclasses import dataclass

import structlog

from bot.core.context import BoardContext
from hub.records import File
from leaderboard.lifecycle import (
    AttemptFacts,
    AttemptLife,
    CurrentAttempt,
    current_attempt_id,
    find_current_attempt,
    highest_used_number,
    submission_digest,
)
from leaderboard.requests import Request
from redis_state.attempts import LOST
from redis_state.board.entry import IndexEntry
from redis_state.errors import BadMessage

log = structlog.get_logger()


@dataclass(frozen=True)
class RequestFacts:
    """What was read about one request."""

    request: Request
    file: File
    entry: IndexEntry
    turn: CurrentAttempt
    attempt: str | None
    seen: AttemptFacts
    log: str


def gather(context: BoardContext, entry: IndexEntry, request: Request, file: File) -> RequestFacts:
    """What Redis knows of the request's current attempt."""
    now = find_current_attempt(request, entry.used or 0)
    attempt = current_attempt_id(
        context.board.name, request, now, entry.sha if entry.asked == submission_digest(request) else None
    )
    if attempt is None:
        return RequestFacts(request, file, entry, now, None, AttemptFacts(), "")
    try:
        ended = context.attempts.outcome(attempt)
    except BadMessage as error:
        log.error("what a worker said is no outcome", attempt=attempt, error=str(error)[:500])
        return RequestFacts(request, file, entry, now, attempt, AttemptFacts("silent"), "")
    if ended is not None and ended[0].attempt == attempt:
        seen = AttemptFacts("ended", ended[0], context.suite.digest)
        return RequestFacts(request, file, entry, now, attempt, seen, ended[1])
    return RequestFacts(request, file, entry, now, attempt, AttemptFacts(attempt_life(context, attempt)), "")


def note_used_number(context: BoardContext, entry: IndexEntry, request: Request) -> IndexEntry:
    """Remember which attempts were made, for whoever writes a new file over this one; before any of them may go on."""
    over = highest_used_number(request)
    if over <= (entry.used or 0):
        return entry
    entry = entry.model_copy(update={"used": over})
    context.index.put(entry)
    return entry


def attempt_life(context: BoardContext, attempt: str) -> AttemptLife:
    """Whether anybody has `attempt`, as far as Redis tells."""
    state = context.attempts.read(attempt)
    if state is None:
        return "unseen"
    if state.state in ("queued", "handed-back"):
        return "queued" if state.state == "queued" else "handed-back"
    if state.beat < context.now() - LOST or state.state in ("ended", "void"):
        return "silent"
    return "taken" if state.state == "taken" else "running"
