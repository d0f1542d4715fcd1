"""Facts about one request from its file, the index and Redis: its current attempt, and whether that is alive."""

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
    """Facts that a sync read about one request."""

    request: Request
    file: File
    entry: IndexEntry
    current: CurrentAttempt
    attempt: str | None
    seen: AttemptFacts
    log: str


def gather(context: BoardContext, entry: IndexEntry, request: Request, file: File) -> RequestFacts:
    """Gather the facts that Redis holds about the request's current attempt."""
    current = find_current_attempt(request, entry.used or 0)
    attempt = current_attempt_id(
        context.board.name, request, current, entry.sha if entry.asked == submission_digest(request) else None
    )
    if attempt is None:
        return RequestFacts(request, file, entry, current, None, AttemptFacts(), "")
    try:
        ended = context.attempts.outcome(attempt)
    except BadMessage as error:
        log.error("a worker's message is no outcome", attempt=attempt, error=str(error)[:500])
        return RequestFacts(request, file, entry, current, attempt, AttemptFacts("silent"), "")
    if ended is not None and ended[0].attempt == attempt:
        facts = AttemptFacts("ended", ended[0], context.suite.digest)
        return RequestFacts(request, file, entry, current, attempt, facts, ended[1])
    return RequestFacts(request, file, entry, current, attempt, AttemptFacts(attempt_life(context, attempt)), "")


def note_used_number(context: BoardContext, entry: IndexEntry, request: Request) -> IndexEntry:
    """Store the highest attempt number that the file names, so that it survives a new file written over this one.

    The caller does this before an attempt may continue.
    """
    highest = highest_used_number(request)
    if highest <= (entry.used or 0):
        return entry
    entry = entry.changed(used=highest)
    context.index.put(entry)
    return entry


def attempt_life(context: BoardContext, attempt: str) -> AttemptLife:
    """The stage of `attempt` by the facts in Redis, such as "queued" or "running"; "silent" if its worker is lost."""
    state = context.attempts.read(attempt)
    if state is None:
        return "unseen"
    if state.state in ("queued", "handed-back"):
        return "queued" if state.state == "queued" else "handed-back"
    if state.beat < context.now() - LOST or state.state in ("ended", "void"):
        return "silent"
    return "taken" if state.state == "taken" else "running"
