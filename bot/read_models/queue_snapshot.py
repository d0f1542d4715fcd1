"""The queue as one looks at it: who waits in which order, what is held back and why, and when each will start.

Reading it costs a few round trips to Redis and no call to the Hub; ordering it is done again only when something that
decides about the order has changed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

from bot.core.context import BoardContext
from leaderboard.budgets import Spent
from leaderboard.dispatch import (
    QueueBlocker,
    QueueConditions,
    RunningAttempt,
    WaitingRequest,
    WorkerCapacity,
    find_blocker,
    in_turn,
)
from leaderboard.estimates import Durations, RunningWork, StartEstimate, StartEstimates, starts
from leaderboard.places import crosses
from redis_state import jobs
from redis_state.attempts import AttemptState
from redis_state.board.entry import IndexEntry
from redis_state.board.waiting import turn_of

FRESH = 30.0
"""Seconds after which starts are worked out again, though nothing has changed but the time."""
MINUTE = 60.0


@dataclass(frozen=True)
class QueueOutlook:
    """Where one waiting request stands: its position and how many wait with it, or what holds it back.

    `workers` is how many there are for it; `start` None where that cannot be said; `worked_out` is the start without
    experience, and `turn` the request's number among those of its submitter.
    """

    position: int | None = None
    among: int = 0
    start: StartEstimate | None = None
    estimated_start: StartEstimate | None = None
    turn: int = 0
    held: QueueBlocker | None = None
    workers: int = 0


@dataclass
class QueueSnapshot:
    """All that wait, in RQ or not, under the `terms` of a moment; `lying`: attempt → RQ queue in which it lies."""

    waiting: tuple[WaitingRequest, ...]
    running: tuple[RunningAttempt, ...]
    conditions: QueueConditions
    now: float
    queued_in: dict[str, str] = field(default_factory=dict)

    @cached_property
    def turns(self) -> list[WaitingRequest]:
        """Those that nothing holds back, in the order of their turns."""
        return in_turn(self.waiting, self.running, self.conditions)

    @cached_property
    def order(self) -> dict[str, list[WaitingRequest]]:
        """Lane → those of `turns` that wait there."""
        lanes = set(self._lanes.values())
        if len(lanes) == 1:
            return dict.fromkeys(lanes, self.turns)
        return {lane: [one for one in self.turns if self._lanes[one.tier] == lane] for lane in lanes}

    @cached_property
    def starts(self) -> dict[str, StartEstimates]:
        """Lane → when each of those that wait there will start, as far as that can be said."""
        found = {}
        for lane, order in self.order.items():
            running = [
                RunningWork(busy.suite, busy.size, max(0.0, self.now - busy.started) if busy.started else 0.0)
                for busy in self.running
                if self._lanes[busy.tier] == lane
            ]
            found[lane] = starts(order, running, self._workers(lane), self.conditions.durations, self.now)
        return found

    @cached_property
    def positions(self) -> dict[str, int]:
        """Path → position in its lane, from 1."""
        return {one.path: at for order in self.order.values() for at, one in enumerate(order, 1)}

    @cached_property
    def by_path(self) -> dict[str, WaitingRequest]:
        """Path → the request that waits."""
        return {one.path: one for one in self.waiting}

    def outlook(self, path: str) -> QueueOutlook | None:
        """Where the request at `path` stands; None where it does not wait."""
        request = self.by_path.get(path)
        if request is None:
            return None
        lane = self._lanes[request.tier]
        workers, at = self._workers(lane), self.positions.get(path)
        if at is None:
            return QueueOutlook(held=find_blocker(request, self.conditions), workers=workers)
        known, order = self.starts[lane], self.order[lane]
        turn = sum(one.submitter == request.submitter for one in order[:at])
        plain = known[at - 1] if at <= len(known) else None
        start = self.conditions.experience.applied(plain, turn, self.now) if plain is not None else None
        return QueueOutlook(at, len(order), start, plain, turn, None, workers)

    def to_be_retold(self, limit: int) -> list[str]:
        """The first `limit` of those whose thread tells another position, or another reason, than is true by now."""
        found = [one.path for one in self.waiting if crosses(one.place, self.positions.get(one.path, 0))]
        for one in self.waiting:
            if len(found) >= limit:
                break
            if one.path not in self.positions and blocker_word(find_blocker(one, self.conditions)) != one.why:
                found.append(one.path)
        return list(dict.fromkeys(found))[:limit]

    @cached_property
    def _lanes(self) -> dict[str, str]:
        return {tier: str(lane) for tier, lane in self.conditions.lanes.items()}

    def _workers(self, lane: str) -> int:
        return sum(any(self._lanes[tier] == lane for tier in capacity.tiers) for capacity in self.conditions.capacities)


def blocker_word(held: QueueBlocker | None) -> str:
    """One word for what holds a request back, as the index keeps it."""
    return f"{held.kind} {held.what}".strip() if held is not None else ""


def take_snapshot(context: BoardContext) -> QueueSnapshot:
    """The line at this moment; the one of the last look, where nothing that decides about the order has changed."""
    queued_in = jobs.queued_attempts(context.redis, context.queues)
    busy = [entry for entry in context.index.busy() if entry.attempt is not None]
    queued = tuple(turn_of(entry) for entry in busy if entry.attempt in queued_in)
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
        if 0 <= snapshot.now - last.now < FRESH:
            return last
        snapshot.turns, snapshot.by_path = last.turns, last.by_path
    context.last_snapshot = snapshot
    return snapshot


def queue_conditions(context: BoardContext, running: tuple[RunningAttempt, ...]) -> QueueConditions:
    """What applies to the queue now."""
    durations = context.measures.durations()
    return QueueConditions(
        paused=frozenset(context.pauses.all()),
        budgets=context.board.budgets,
        spent=_budget_use(context, running, durations),
        turns=context.measures.turns(),
        durations=durations,
        experience=context.measures.experience(),
        capacities=tuple(WorkerCapacity(card.takes, card.doing) for card in context.workers.alive(now=context.now())),
    )


def _budget_use(context: BoardContext, running: tuple[RunningAttempt, ...], durations: Durations) -> Spent:
    """What counts against the budgets: what ended, and what runs for as long as it is expected to, at least."""
    if context.board.budgets.unlimited:
        return Spent()
    now = context.now()
    spent = context.measures.spent(now=now)
    for busy in running:
        elapsed = max(0.0, now - busy.started) if busy.started else 0.0
        seconds = max(elapsed, durations.mean(busy.suite, busy.size))
        seconds += -seconds % MINUTE  # whole ones, so that not every look finds something new
        spent.add(seconds, tier=busy.tier, submitter=busy.submitter, path=busy.path)
    return spent


def _running_attempt(entry: IndexEntry, states: Mapping[str, AttemptState]) -> RunningAttempt:
    assert entry.attempt is not None
    turn = turn_of(entry)
    state = states.get(entry.attempt)
    started = state.started if state is not None else 0.0
    return RunningAttempt(entry.attempt, entry.submitter, entry.tier, entry.path, entry.size, turn.suite, started)
