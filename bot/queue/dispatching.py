"""The queue: keep every worker one attempt ahead, in turn.

RQ has one queue for each tier. What lies there and nobody took yet has no better right than what waits: each dispatch
decides anew what should lie there, and recalls the rest, be it held, cancelled, or displaced by somebody's turn.

Race closed: two dispatches at once. They are syncs of one dirty key, of which one runs at a time, and an attempt's id
is its job's id, so that even an overlap after a lapsed lease puts nothing twice.
Race closed: the bot dies between queueing and noting it. The job is found in RQ by its id, and noted then.
Race closed: a worker takes what is being recalled. Taking it out of RQ's list decides: one of the two has it.
Race closed: the bot dies between recalling and noting it. A job that is in no queue and was not taken waits again.
Race closed: Redis was lost, and a request is accepted again, for somebody wrote in its thread, before the requests repo
was looked at as a whole. Nobody has a turn before the pauses were read.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

import structlog

from bot.core.context import BoardContext, request_key
from bot.queue.durations import ask_for_durations
from bot.read_models.queue_snapshot import take_snapshot
from leaderboard.dispatch import choose
from leaderboard.effects import Effect
from leaderboard.requests import Request, Status
from leaderboard.tiers import Tier
from redis_state import jobs
from redis_state.board.entry import IndexEntry
from redis_state.board.pauses import PAUSED
from redis_state.dirty import SyncPriority
from redis_state.shadowed_writes import ShadowedWrite

log = structlog.get_logger()

QUEUE = "queue"
"""Dirty key: somebody may have their turn now."""
RETOLD = 100
"""Requests whose threads are told of a new position after one dispatch, at most."""


def sync_queue(context: BoardContext) -> None:
    """Put those whose turn it is into RQ, take back those whose turn it is not, and have new positions told."""
    if not context.pauses.are_known():
        context.mark(PAUSED, SyncPriority.PERSON)  # whose sync calls us again
        return
    snapshot = take_snapshot(context)
    chosen = {one.attempt: one for one in choose(snapshot.turns, snapshot.running, snapshot.conditions)}
    places = {attempt: snapshot.conditions.queue_of(one.tier) for attempt, one in chosen.items()}
    _recall(context, snapshot.queued_in, {attempt: context.queue(tier) for attempt, tier in places.items()})
    for attempt, one in chosen.items():
        if snapshot.queued_in.get(attempt) != context.queue(places[attempt]):
            _dispatch(context, context.index.get(one.path), places[attempt])
    if snapshot.waiting and not snapshot.conditions.durations.measured:
        ask_for_durations(context)
    context.mark_all(map(request_key, snapshot.to_be_retold(RETOLD)), SyncPriority.BACKGROUND)


def _recall(context: BoardContext, queued_in: Mapping[str, str], wanted: Mapping[str, str]) -> None:
    for attempt, name in queued_in.items():
        if wanted.get(attempt) == name or not jobs.recall(context.redis, name, attempt):
            continue
        state = context.attempts.read(attempt)
        entry = context.index.get(state.path) if state is not None else None
        log.info("recalled", attempt=attempt, path=entry.path if entry is not None else "")
        if entry is not None:
            context.index.change(entry.path, partial(_moved, attempt, "queued", {"state": "waiting"}))


def _moved(attempt: str, state: str, to: Mapping[str, object], entry: IndexEntry) -> IndexEntry | None:
    """`entry` with `to`, unless its request has gone on since: it is at another attempt, or in another state."""
    return entry.model_copy(update=to) if (entry.attempt, entry.state) == (attempt, state) else None


def job_for(context: BoardContext, request: Request, entry: IndexEntry) -> jobs.EvaluationJob:
    """The message for the worker that takes `request`."""
    assert entry.sha is not None
    assert entry.attempt is not None
    return jobs.EvaluationJob(
        board=context.board.name,
        attempt=entry.attempt,
        path=str(request.path),
        model=request.path.model,
        revision=entry.sha,
        precision=request.path.precision,
        weight_type=request.path.weight_type,
        base_model=entry.base_model or request.file.base_model or "",
        base_revision=entry.base_sha,
        use_chat_template=bool(request.file.use_chat_template),
        suite=context.suite.name,
        suite_digest=context.suite.digest,
        private=entry.standing.access != "public",
    )


def _dispatch(context: BoardContext, entry: IndexEntry, tier: Tier) -> None:
    if entry.state != "waiting":
        return
    if entry.job is None or entry.attempt is None:
        context.mark(request_key(entry.path))  # its own sync knows what the job would be
        return
    if not _may_run(context, entry):
        return
    now = context.now()
    if not context.attempts.queued(entry.attempt, entry.path, now=now):
        context.mark(request_key(entry.path))  # somebody has it, whatever the index says
        return
    new = jobs.enqueue(context.redis, context.queue(tier), entry.job, timeout=context.board.attempt_seconds)
    context.index.change(entry.path, partial(_moved, entry.attempt, "waiting", {"state": "queued", "queued": now}))
    log.info("queued", attempt=entry.attempt, path=entry.path, tier=tier, new=new)


def _may_run(context: BoardContext, entry: IndexEntry) -> bool:
    """Whether the claim, which is an edit, could be granted: without it a worker would only be sent away again."""
    shadowed = ShadowedWrite(
        id=f"edit run {entry.attempt}",
        effect=Effect.EDIT,
        repo=f"{context.requests.kind}/{context.requests.id}",
        does=f"Run {entry.model}",
        path=entry.path,
        status=Status.RUNNING.value,
    )
    return context.effects.allows(shadowed, wake=request_key(entry.path))
