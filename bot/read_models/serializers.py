"""What is known of requests, as people and programs are told: from the index, the queue and the attempts in Redis.

The public is told less than the operator (`public=False`): of a gated model's request no reason, log or thread, of a
private one's nothing at all but that somebody has a place in the queue.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from bot.core.context import BoardContext
from bot.read_models import models
from bot.read_models.queue_snapshot import take_snapshot
from hub.errors import BadRequest
from hub.records import Repo
from leaderboard import dispatch, estimates
from leaderboard.adoption import old_failure
from leaderboard.holds import Hold
from leaderboard.queue_snapshot import QueueOutlook
from leaderboard.requests import RequestPath, Status, parse_path
from redis_state.attempts import AttemptState
from redis_state.board.entry import IndexEntry
from redis_state.clock import iso

ENDS: dict[str, models.State] = {"FINISHED": "finished", "FAILED": "failed", "CANCELLED": "cancelled"}


def summary(context: BoardContext, entry: IndexEntry, *, public: bool = True) -> models.RequestSummaryView:
    """One request; call it for the public only where `hidden` says no."""
    return summaries(context, [entry], public=public)[0]


def summaries(
    context: BoardContext, entries: Sequence[IndexEntry], *, public: bool = True
) -> list[models.RequestSummaryView]:
    """`summary` of each. At most one round trip."""
    adopted = _adopted(context, entries)
    return [models.RequestSummaryView(**_fields(context, entry, adopted, public=public)) for entry in entries]


def request(
    context: BoardContext, entry: IndexEntry, *, public: bool = True, state: AttemptState | None = None
) -> models.RequestView:
    """One request with its place, what holds it back, or its progress; `state` of its attempt, where it was read."""
    fields = _fields(context, entry, _adopted(context, [entry]), public=public)
    if state is None and entry.state == "running" and entry.attempt is not None:
        state = context.attempts.read(entry.attempt)
    seen = take_snapshot(context).outlook(entry.path) if entry.state in ("waiting", "queued") else None
    return models.RequestView(
        **fields,
        attempt=entry.number if entry.attempt is not None else 0,
        place=place(seen) if seen is not None and seen.position is not None else None,
        held=blocker_view(entry, seen.held, context.pauses.all())
        if seen is not None and seen.held is not None
        else None,
        progress=progress(state) if entry.state == "running" else None,
    )


def _adopted(context: BoardContext, entries: Iterable[IndexEntry]) -> str:
    """When the board was adopted; asked only where one of `entries` failed before that."""
    record = context.adoption.record() if any(map(_failed_before, entries)) else None
    return record.at if record is not None else ""


def _failed_before(entry: IndexEntry) -> bool:
    """Whether it failed before the board was adopted, and nobody kept why."""
    seen = entry.standing
    return seen.failure is None and seen.old and seen.status == Status.FAILED


def _fields(context: BoardContext, entry: IndexEntry, adopted: str, *, public: bool) -> dict[str, Any]:
    where, seen = parse_path(entry.path), entry.standing
    names = where if isinstance(where, RequestPath) else None
    tells = not public or seen.access == "public"
    thread = f"{context.address(context.requests)}/discussions/{entry.thread}" if entry.thread is not None else None
    return {
        "path": entry.path,
        "model": entry.model or (names.model if names else ""),
        "revision": entry.commit,
        "precision": names.precision if names else "",
        "weight_type": names.weight_type if names else "",
        "status": seen.status,
        "state": state_of(entry),
        "submitter": entry.whose,
        "submitted": iso(entry.time) if 0 < entry.time < 1e11 else None,
        "request_url": context.address(context.requests, entry.path),
        "thread_url": thread if tells else None,
        "log_url": (seen.log or None) if tells else None,
        "results_url": context.address(context.results, seen.results) if seen.results else None,
        "details_url": _details(context, names.model) if tells and names and seen.results and not seen.old else None,
        "failure": _why(entry, adopted) if tells else None,
        "failed": _has_failed(entry),
        "access": seen.access,
        "from_before": seen.old,
    }


def _details(context: BoardContext, model: str) -> str | None:
    """Where each question and each answer of a model's evaluations lies."""
    try:
        return context.address(Repo("dataset", context.board.repos.details(model)))
    except BadRequest:
        return None  # whoever wrote the file wrote something else than a name


def _why(entry: IndexEntry, adopted: str) -> models.FailureView | None:
    """Why it failed; that no log was kept, where it did before the board was adopted."""
    failure = old_failure(adopted) if _failed_before(entry) else entry.standing.failure
    return models.FailureView(**failure.model_dump()) if failure is not None else None


def _has_failed(entry: IndexEntry) -> bool:
    """Whether its newest evaluation failed, be it that the result of an earlier one stays."""
    state = state_of(entry)
    return state == "failed" or (state == "finished" and entry.standing.failure is not None)


def state_of(entry: IndexEntry) -> models.State:
    """Where it is, in one word."""
    match entry.state:
        case "queued":
            return "waiting"  # in RQ, but nobody took it: whoever's turn comes before may still take its place
        case "foreign":
            return ENDS.get(entry.standing.status, "elsewhere")
        case "settled":
            return ENDS.get(entry.standing.status, "settled")
        case state:
            return state


def place(seen: QueueOutlook) -> models.QueuePositionView:
    """The place of a request that has one."""
    assert seen.position is not None
    return models.QueuePositionView(
        position=seen.position, among=seen.among, workers=seen.workers, start=start(seen.start)
    )


def start(found: estimates.StartEstimate | None) -> models.StartView | None:
    """When it will start, to the second."""
    if found is None:
        return None
    return models.StartView(earliest=iso(found.earliest), expected=iso(found.expected), latest=iso(found.latest))


def blocker_view(
    entry: IndexEntry | None, back: dispatch.QueueBlocker, pauses: Mapping[str, Hold]
) -> models.QueueBlockerView:
    """What holds it back, with the reason that a maintainer gave; of a hold none where `entry` may not be told of."""
    known = {"pause": pauses.get(back.what), "hold": entry.hold if entry is not None else None}
    told = known.get(back.kind)
    return models.QueueBlockerView(
        kind=back.kind, what=back.what, reason=told.reason if told else "", by=told.by if told else ""
    )


def progress(state: AttemptState | None) -> models.ProgressView:
    """How far an attempt is."""
    if state is None:
        return models.ProgressView(phase="start", done=0, total=0)
    began = iso(state.started) if state.started else None
    return models.ProgressView(
        phase=state.progress.phase, done=state.progress.done, total=state.progress.total, started=began
    )
