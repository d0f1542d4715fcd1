"""Take a snapshot of the queue from Redis.

That costs a few round trips to Redis and no call to the Hub. The order is computed again only when something that
decides about it has changed.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import chain

from bot.core.context import BoardContext
from leaderboard.budgets import Spent
from leaderboard.dispatch import (
    QueueConditions,
    RunningAttempt,
    WorkerCapacity,
)
from leaderboard.estimates import Durations
from leaderboard.queue_snapshot import QueueSnapshot
from leaderboard.tiers import Tier
from redis_state import jobs
from redis_state.attempts import AttemptState
from redis_state.board.entry import IndexEntry
from redis_state.board.waiting import waiting_request_of
from redis_state.set_aside import names_of

MAX_AGE_SECONDS = 30.0
"""Age from which expected starts are computed again although nothing but the time has changed."""
MINUTE = 60.0


def take_snapshot(context: BoardContext) -> QueueSnapshot:
    """The queue now; the last snapshot where nothing that decides about the order has changed."""
    queued_in = jobs.queued_attempts(context.redis, context.queues)
    busy = [entry for entry in context.index.busy() if entry.attempt is not None]
    queued = tuple(waiting_request_of(entry) for entry in busy if entry.attempt in queued_in)
    taken = [entry for entry in busy if entry.attempt not in queued_in]
    states = context.attempts.read_all(entry.attempt for entry in taken if entry.attempt is not None)
    running = tuple(_running_attempt(entry, states) for entry in taken)
    snapshot = QueueSnapshot(
        context.index.waiting() + queued, running, queue_conditions(context, running), context.now(), queued_in
    )
    last = context.last_snapshot
    if last is not None and (last.running, last.conditions, last.waiting) == (
        snapshot.running,
        snapshot.conditions,
        snapshot.waiting,
    ):
        last.queued_in = queued_in
        if 0 <= snapshot.now - last.now < MAX_AGE_SECONDS:
            return last
        snapshot.turns, snapshot.by_path = last.turns, last.by_path
    context.last_snapshot = snapshot
    return snapshot


def queue_conditions(context: BoardContext, running: tuple[RunningAttempt, ...]) -> QueueConditions:
    """The conditions that apply to the queue now: pauses, budgets, measurements, workers."""
    durations = context.measures.durations()
    return QueueConditions(
        paused=frozenset(context.pauses.all()),
        budgets=context.board.budgets,
        spent=_budget_use(context, running, durations),
        turns=context.measures.last_claims(),
        durations=durations,
        experience=context.measures.experience(),
        capacities=_capacities(context),
    )


def aside_workers(context: BoardContext) -> set[str]:
    """The names of the workers, and of accounts, that are set aside. One round trip."""
    return {aside.worker for aside in context.set_aside.all()}


def held_workers(context: BoardContext) -> set[str]:
    """The names of the workers, and of accounts, that take no job until an operator acts: they are set aside, or their
    tasks differ from the board's. Two round trips."""
    return aside_workers(context) | {refused.worker for refused in context.accepted_digests.waiting()}


def _capacities(context: BoardContext) -> tuple[WorkerCapacity, ...]:
    """The workers that take jobs, and the runs that backends have started or may start: these take no attempt ahead."""
    held, alive = held_workers(context), context.workers.alive(now=context.now())
    workers = tuple(WorkerCapacity(card.takes, card.doing) for card in alive if not names_of(card) & held)
    return workers + tuple(chain.from_iterable(_runs_of(context, tier) for tier in context.board.backends))


def _runs_of(context: BoardContext, tier: Tier) -> list[WorkerCapacity]:
    """The capacities of a backend. A run that has its machine is busy with its attempt; the other ones are free."""
    places = context.board.backends[tier].parallel
    busy = [run.attempt for run in context.backend_runs.live(tier) if run.stage == "running" and not run.unwanted]
    doing = [*busy[:places], *[""] * (places - len(busy))]
    return [WorkerCapacity((tier,), attempt, ahead=0) for attempt in doing]


def _budget_use(context: BoardContext, running: tuple[RunningAttempt, ...], durations: Durations) -> Spent:
    """The use of the budgets: ended attempts, and running ones with at least their expected duration."""
    if context.board.budgets.unlimited:
        return Spent()
    now = context.now()
    spent = context.measures.spent(now=now)
    for busy in running:
        elapsed = max(0.0, now - busy.started) if busy.started else 0.0
        seconds = max(elapsed, durations.mean(busy.suite, busy.size))
        seconds += -seconds % MINUTE  # whole minutes, so that not each snapshot differs from the last
        spent.add(seconds, tier=busy.tier, submitter=busy.submitter, path=busy.path)
    return spent


def _running_attempt(entry: IndexEntry, states: Mapping[str, AttemptState]) -> RunningAttempt:
    assert entry.attempt is not None
    turn = waiting_request_of(entry)
    state = states.get(entry.attempt)
    started = state.started if state is not None else 0.0
    return RunningAttempt(entry.attempt, entry.submitter, entry.tier, entry.path, entry.size, turn.suite, started)
