"""Failures with an unknown cause, read from the Hub for maintainers."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bot.core.context import BoardContext
from bot.core.log_repos import logs_repo, stored_outcome
from leaderboard.attempts import attempt_id
from leaderboard.failures import UNKNOWN, diagnose
from leaderboard.request_paths import is_request_path
from leaderboard.requests import Request, Status, parse_request

if TYPE_CHECKING:
    from bot.core.mirrors.mirror import MirrorView

LAST_LINES = 5


@dataclass(frozen=True)
class UnknownDeath:
    """A failed request: the last `lines` of its log, and the cause that the present table of causes gives it `now`."""

    path: str
    model: str
    message: str
    log: str
    lines: tuple[str, ...] = ()
    now: str = UNKNOWN


def unknown_deaths(context: BoardContext, *, limit: int) -> list[UnknownDeath]:
    """At most `limit` failed requests with an unknown cause, by path. One call each, and a few for the mirror.

    Raises HubError and MirrorDamaged.
    """
    head = context.mirror.fetch(context.requests, depth=0)
    with context.mirror.read(context.requests) as view:
        requests = sorted(_failed(view, head, context.board.max_request_bytes), key=lambda request: str(request.path))
    return [_death(context, request) for request in requests[:limit]]


def _failed(view: MirrorView, head: str, max_bytes: int) -> Iterator[Request]:
    for blob in view.files(head):
        data = view.blob(blob.oid, max_bytes=max_bytes) if blob.oid and is_request_path(blob.path) else None
        # Parse only files that can match; most cannot.
        if data is None or b'"unknown"' not in data:
            continue
        request = parse_request(blob.path, data)
        if isinstance(request, Request) and request.status is Status.FAILED and _is_unknown(request):
            yield request


def _is_unknown(request: Request) -> bool:
    failure = request.file.steward.failure
    return failure is not None and failure.cause == UNKNOWN


def _death(context: BoardContext, request: Request) -> UnknownDeath:
    facts, model, path = request.file.steward, request.path.model, str(request.path)
    assert facts.failure is not None
    repo = logs_repo(context, facts.access or "public")
    attempt = attempt_id(context.board.name, path, facts.revision or "", facts.attempt)
    outcome = stored_outcome(context, repo, model, attempt)
    evidence = outcome.evidence if outcome is not None else None
    if evidence is None:
        return UnknownDeath(path, model, facts.failure.message, facts.log or "")
    lines = [line for line in evidence.log_tail.splitlines() if line.strip()][-LAST_LINES:]
    now = diagnose(evidence).code
    return UnknownDeath(path, model, facts.failure.message, facts.log or "", tuple(lines), now)
