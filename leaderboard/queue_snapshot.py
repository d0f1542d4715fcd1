"""The queue at one moment: the order of the requests, what holds them back, and when each is expected to start."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property

from leaderboard.dispatch import QueueBlocker, QueueConditions, RunningAttempt, WaitingRequest, find_blocker, in_turn
from leaderboard.estimates import RunningWork, StartEstimate, StartEstimates, crosses, starts


@dataclass(frozen=True)
class QueueOutlook:
    """One waiting request: its position among the requests that wait for the same `workers`, or what holds it back.

    `start` is None if it cannot be estimated; `estimated_start` is the estimate before it is corrected by experience;
    `turn` is the request's number among those of its submitter.
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
    """All waiting requests, in RQ or not, under the conditions of one moment. `queued_in`: attempt → its RQ queue."""

    waiting: tuple[WaitingRequest, ...]
    running: tuple[RunningAttempt, ...]
    conditions: QueueConditions
    now: float
    queued_in: dict[str, str] = field(default_factory=dict)

    @cached_property
    def turns(self) -> list[WaitingRequest]:
        """The requests that nothing holds back, in order."""
        return in_turn(self.waiting, self.running, self.conditions)

    @cached_property
    def order(self) -> dict[str, list[WaitingRequest]]:
        """Lane → the requests of `turns` that wait in it."""
        lanes = set(self._lanes.values())
        if len(lanes) == 1:
            return dict.fromkeys(lanes, self.turns)
        return {lane: [request for request in self.turns if self._lanes[request.tier] == lane] for lane in lanes}

    @cached_property
    def starts(self) -> dict[str, StartEstimates]:
        """Lane → the estimated starts of the requests that wait in it."""
        by_lane = {}
        for lane, order in self.order.items():
            running = [
                RunningWork(busy.suite, busy.size, max(0.0, self.now - busy.started) if busy.started else 0.0)
                for busy in self.running
                if self._lanes[busy.tier] == lane
            ]
            by_lane[lane] = starts(order, running, self._workers(lane), self.conditions.durations, self.now)
        return by_lane

    @cached_property
    def positions(self) -> dict[str, int]:
        """Path → position in its lane, from 1."""
        return {request.path: at for order in self.order.values() for at, request in enumerate(order, 1)}

    @cached_property
    def by_path(self) -> dict[str, WaitingRequest]:
        """Path → the waiting request."""
        return {request.path: request for request in self.waiting}

    def outlook(self, path: str) -> QueueOutlook | None:
        """Return the outlook of the request at `path`; None if it does not wait."""
        request = self.by_path.get(path)
        if request is None:
            return None
        lane = self._lanes[request.tier]
        workers, at = self._workers(lane), self.positions.get(path)
        if at is None:
            return QueueOutlook(held=find_blocker(request, self.conditions), workers=workers)
        known, order = self.starts[lane], self.order[lane]
        turn = sum(earlier.submitter == request.submitter for earlier in order[:at])
        plain = known[at - 1] if at <= len(known) else None
        start = self.conditions.experience.applied(plain, turn, self.now) if plain is not None else None
        return QueueOutlook(at, len(order), start, plain, turn, None, workers)

    def to_be_retold(self, limit: int) -> list[str]:
        """Return the paths of at most `limit` requests whose thread shows an outdated position or blocker."""
        paths = [
            request.path for request in self.waiting if crosses(request.place, self.positions.get(request.path, 0))
        ]
        for request in self.waiting:
            if len(paths) >= limit:
                break
            if request.path not in self.positions:
                blocker = find_blocker(request, self.conditions)
                if (blocker.stored if blocker is not None else "") != request.why:
                    paths.append(request.path)
        return list(dict.fromkeys(paths))[:limit]

    @cached_property
    def _lanes(self) -> dict[str, str]:
        return {tier: str(lane) for tier, lane in self.conditions.lanes.items()}

    def _workers(self, lane: str) -> int:
        return sum(any(self._lanes[tier] == lane for tier in capacity.tiers) for capacity in self.conditions.capacities)
