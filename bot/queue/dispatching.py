"""Dispatch: keep one further attempt in RQ for each worker, beside its current one, in the order of the queue.

RQ has one queue for each tier. A job in RQ that no worker has taken has no priority over waiting requests: each
dispatch decides again which jobs should be in RQ, and recalls the others, which are held, cancelled or overtaken. An
attempt for which a worker backend has started a run is not overtaken.

A job names the version of the suite that the board had when the request was accepted. After a new version, dispatch
sends no earlier job: it recalls those in RQ, and the request's sync, which it wakes when it is the request's turn,
makes a new one.

Race closed: two dispatches at once. They are syncs of one dirty key, of which one runs at a time; and a job's id is its
attempt's id, so even an overlap after a lapsed lease queues nothing twice.
Race closed: the bot dies between queueing a job and storing that. The next dispatch finds the job in RQ by its id.
Race closed: a worker takes a job that is being recalled. Removing it from RQ's list decides: one of the two has it.
Race closed: the bot dies between recalling a job and storing that. A job in no queue that no worker took waits again.
Race closed: Redis was lost, and a comment in a request's thread causes its admission before the sync of the requests
repo. Nothing is dispatched before the pauses were read.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

import structlog

from bot.core.context import BoardContext, request_key
from bot.queue.durations import ask_for_durations
from bot.queue.trial_turns import queue_trial, take_trial_turns
from bot.read_models.queue_snapshot import take_snapshot
from leaderboard.backends import launched_attempts
from leaderboard.dispatch import WaitingRequest, choose
from leaderboard.effects import Effect
from leaderboard.requests import Request, Status
from leaderboard.tiers import Tier
from redis_state import jobs
from redis_state.board.backend_runs import BACKENDS
from redis_state.board.entry import EntryChanges, IndexEntry
from redis_state.board.pauses import PAUSED
from redis_state.dirty import SyncPriority
from redis_state.shadowed_writes import ShadowedWrite

log = structlog.get_logger()

QUEUE = "queue"
"""Dirty key: the queue has changed, or a worker is free."""
MAX_REANNOUNCED = 100
"""Requests whose status comments get a new position after one dispatch."""


def sync_queue(context: BoardContext) -> None:
    """Queue the attempts that come next in RQ, recall the others, and mark requests whose position changed."""
    if not context.pauses.are_known():
        context.mark(PAUSED, SyncPriority.PERSON)  # its sync marks QUEUE again
        return
    snapshot = take_snapshot(context)
    order = _with_launched_first(context, snapshot.turns)
    chosen = {turn.attempt: turn for turn in choose(order, snapshot.running, snapshot.conditions)}
    trials = take_trial_turns(context, snapshot, list(chosen.values()))
    tiers = {attempt: snapshot.conditions.queue_of(turn.tier) for attempt, turn in chosen.items()}
    wanted = {**tiers, **{attempt: tier for attempt, (_, tier) in trials.items()}}
    outdated = _outdated_attempts(context)
    names = {attempt: context.queue(tier) for attempt, tier in wanted.items() if attempt not in outdated}
    _recall(context, snapshot.queued_in, names)
    for attempt, turn in chosen.items():
        if attempt in outdated or snapshot.queued_in.get(attempt) != context.queue(tiers[attempt]):
            _dispatch(context, context.index.get(turn.path), tiers[attempt])
    for attempt, (trial, tier) in trials.items():
        queue_trial(context, trial, tier, snapshot.queued_in.get(attempt))
    if context.board.backends and jobs.queued_attempts(context.redis, context.queues) != snapshot.queued_in:
        context.mark(BACKENDS)  # else its own timer suffices: a platform is not asked at each tick
    if snapshot.waiting and not snapshot.conditions.durations.measured:
        ask_for_durations(context)
    context.mark_all(map(request_key, snapshot.to_be_retold(MAX_REANNOUNCED)), SyncPriority.BACKGROUND)


def _with_launched_first(context: BoardContext, order: list[WaitingRequest]) -> list[WaitingRequest]:
    """`order`, with the attempts first for which a backend has started a run: only a hold or a cancel recalls them."""
    if not context.board.backends:
        return order
    launched = {
        attempt for tier in context.board.backends for attempt in launched_attempts(context.backend_runs.live(tier))
    }
    return sorted(order, key=lambda request: request.attempt not in launched)


def is_outdated(context: BoardContext, entry: IndexEntry) -> bool:
    """Whether the job of `entry` is for another version of the suite than the board's."""
    return entry.job is not None and entry.job.suite_digest != context.suite.digest


def _outdated_attempts(context: BoardContext) -> set[str]:
    """The attempts in RQ whose jobs are outdated. Two round trips."""
    queued = [entry for entry in context.index.busy() if entry.state == "queued" and is_outdated(context, entry)]
    return {entry.attempt for entry in queued if entry.attempt is not None}


def _recall(context: BoardContext, queued_in: Mapping[str, str], wanted: Mapping[str, str]) -> None:
    for attempt, name in queued_in.items():
        if wanted.get(attempt) == name or not jobs.recall(context.redis, name, attempt):
            continue
        state = context.attempts.read(attempt)
        entry = context.index.get(state.path) if state is not None else None
        log.info("recalled", attempt=attempt, path=entry.path if entry is not None else "")
        if entry is not None:
            context.index.change(entry.path, partial(_changed_if, attempt, "queued", EntryChanges(state="waiting")))


def _changed_if(attempt: str, state: str, fields: EntryChanges, entry: IndexEntry) -> IndexEntry | None:
    """`entry` with `fields`; None if its request has another attempt or state by now."""
    return entry.changed(**fields) if (entry.attempt, entry.state) == (attempt, state) else None


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
    if entry.job is None or entry.attempt is None or is_outdated(context, entry):
        context.mark(request_key(entry.path))  # its own sync makes the job
        return
    if not _may_run(context, entry):
        return
    now = context.now()
    if not context.attempts.queued(entry.attempt, entry.path, now=now):
        context.mark(request_key(entry.path))  # a worker has it, whatever the index says
        return
    new = jobs.enqueue(context.redis, context.queue(tier), entry.job, timeout=context.board.attempt_seconds)
    fields = EntryChanges(state="queued", queued=now)
    context.index.change(entry.path, partial(_changed_if, entry.attempt, "waiting", fields))
    log.info("queued", attempt=entry.attempt, path=entry.path, tier=tier, new=new)


def _may_run(context: BoardContext, entry: IndexEntry) -> bool:
    """Whether the board allows the claim, which is an edit: without it the worker would be refused."""
    shadowed = ShadowedWrite(
        id=f"edit run {entry.attempt}",
        effect=Effect.EDIT,
        repo=f"{context.requests.kind}/{context.requests.id}",
        does=f"Run {entry.model}",
        path=entry.path,
        status=Status.RUNNING.value,
    )
    return context.effects.allows(shadowed, wake=request_key(entry.path))
