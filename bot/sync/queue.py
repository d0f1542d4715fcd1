"""The queue: keep every worker one attempt ahead, in turn.

Race closed: two dispatches at once. They are syncs of one dirty key, of which one runs at a time, and an attempt's id
is its job's id, so that even an overlap after a lapsed lease puts nothing twice.
Race closed: the bot dies between queueing and noting it. The job is found in RQ by its id, and noted then.
"""

from __future__ import annotations

import structlog

from bot.desk import Desk, request_key
from bot.index import Entry
from leaderboard.dispatch import Busy, in_turn, next_attempts
from leaderboard.effects import Effect
from leaderboard.requests import Request, Status
from wire import jobs
from wire.shadow import Would

log = structlog.get_logger()

QUEUE = "queue"
"""Dirty key: somebody may have their turn now."""


def sync_queue(desk: Desk) -> None:
    """Put those whose turn it is into RQ."""
    workers = len(desk.workers.alive(now=desk.now()))
    # Thousands may wait: they are read only where there is a place for one of them.
    for chosen in next_attempts(desk.index.waiting(), _busy(desk), workers):
        _dispatch(desk, desk.index.get(chosen.path))


def position(desk: Desk, path: str) -> int | None:
    """How many have their turn before `path`, plus one; None where it does not wait."""
    order = [waiting.path for waiting in in_turn(desk.index.waiting(), _busy(desk))]
    return order.index(path) + 1 if path in order else None


def job_for(desk: Desk, request: Request, entry: Entry) -> jobs.EvaluationJob:
    """The message for the worker that takes `request`."""
    assert entry.sha is not None
    assert entry.attempt is not None
    return jobs.EvaluationJob(
        board=desk.board.name,
        attempt=entry.attempt,
        path=str(request.path),
        model=request.path.model,
        revision=entry.sha,
        precision=request.path.precision,
        weight_type=request.path.weight_type,
        base_model=request.file.base_model or "",
        use_chat_template=bool(request.file.use_chat_template),
        suite=desk.suite.name,
        suite_digest=desk.suite.digest,
    )


def _dispatch(desk: Desk, entry: Entry) -> None:
    if entry.state != "waiting":
        return
    if entry.job is None or entry.attempt is None:
        desk.mark(request_key(entry.path))  # its own sync knows what the job would be
        return
    if not _may_run(desk, entry):
        return
    now = desk.now()
    desk.attempts.queued(entry.attempt, entry.path, now=now)
    new = jobs.enqueue(desk.redis, desk.queue, entry.job, timeout=desk.board.attempt_seconds)
    desk.index.put(entry.model_copy(update={"state": "queued", "queued": now}))
    log.info("queued", attempt=entry.attempt, path=entry.path, new=new)


def _may_run(desk: Desk, entry: Entry) -> bool:
    """Whether the claim, which is an edit, could be granted: without it a worker would only be sent away again."""
    would = Would(
        id=f"edit run {entry.attempt}",
        effect=Effect.EDIT,
        repo=f"{desk.requests.kind}/{desk.requests.id}",
        does=f"Run {entry.model}",
        path=entry.path,
        status=Status.RUNNING.value,
    )
    return desk.effects.allows(would, wake=request_key(entry.path))


def _busy(desk: Desk) -> list[Busy]:
    return [Busy(entry.attempt, entry.submitter) for entry in desk.index.busy() if entry.attempt is not None]
