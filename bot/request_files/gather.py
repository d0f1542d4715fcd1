"""What a request's file, the index and Redis say together: which attempt is the current one, and whether it lives."""

from __future__ import annotations

from dataclasses import dataclass

import structlog

from bot.core.context import Desk
from hub.records import File
from leaderboard.lifecycle import Life, Seen, Turn, current_attempt, spent, turn
from leaderboard.requests import Request
from redis_state.attempts import LOST
from redis_state.board.entry import Entry
from redis_state.errors import BadMessage

log = structlog.get_logger()


@dataclass(frozen=True)
class Gathered:
    """What was read about one request."""

    request: Request
    file: File
    entry: Entry
    turn: Turn
    attempt: str | None
    seen: Seen
    log: str


def gather(desk: Desk, entry: Entry, request: Request, file: File) -> Gathered:
    """What Redis knows of the request's current attempt."""
    now = turn(request, entry.used or 0)
    attempt = current_attempt(desk.board.name, request, now, entry.sha if entry.asked == asked(request) else None)
    if attempt is None:
        return Gathered(request, file, entry, now, None, Seen(), "")
    try:
        ended = desk.attempts.outcome(attempt)
    except BadMessage as error:
        log.error("what a worker said is no outcome", attempt=attempt, error=str(error)[:500])
        return Gathered(request, file, entry, now, attempt, Seen("silent"), "")
    if ended is not None and ended[0].attempt == attempt:
        seen = Seen("ended", ended[0], desk.suite.digest)
        return Gathered(request, file, entry, now, attempt, seen, ended[1])
    return Gathered(request, file, entry, now, attempt, Seen(life(desk, attempt)), "")


def note_spent(desk: Desk, entry: Entry, request: Request) -> Entry:
    """Remember which attempts were made, for whoever writes a new file over this one; before any of them may go on."""
    over = spent(request)
    if over <= (entry.used or 0):
        return entry
    entry = entry.model_copy(update={"used": over})
    desk.index.put(entry)
    return entry


def asked(request: Request) -> str:
    """Which submission this is. The path has no revision: whoever submits again writes a new file in its place."""
    return f"{request.file.revision or 'main'} {request.file.submitted_time or ''}"


def life(desk: Desk, attempt: str) -> Life:
    """Whether anybody has `attempt`, as far as Redis tells."""
    state = desk.attempts.read(attempt)
    if state is None:
        return "unseen"
    if state.state in ("queued", "handed-back"):
        return "queued" if state.state == "queued" else "handed-back"
    if state.beat < desk.now() - LOST or state.state in ("ended", "void"):
        return "silent"
    return "taken" if state.state == "taken" else "running"
