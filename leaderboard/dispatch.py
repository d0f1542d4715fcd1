"""Dispatch: the order of the queue, the position of each request, and the reasons that hold requests back.

RQ stays nearly empty on purpose: each worker has at most one attempt running and one more in RQ, so that no GPU waits
for the bot, while all other requests can still be reordered, cancelled and explained. A job in RQ that no worker has
taken counts as waiting: a request that comes before it in the order takes its place.

    order     by priority; then round-robin over submitters: first the submitter with the fewest attempts running or
              ordered already; then the longest wait since the submitter's last turn; then the path
    lanes     tiers that no worker shares are independent: rounds and positions count within a lane
    held      a hold, a pause or a budget: the request has no position, but a reason
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain, combinations
from operator import attrgetter
from typing import Literal, NamedTuple, get_args

from leaderboard.budgets import BudgetKind, Budgets, Spent, used_up
from leaderboard.estimates import Durations, WaitExperience
from leaderboard.holds import BOARD
from leaderboard.tiers import TIERS, Tier, lanes, serving

BlockerKind = Literal["hold", "pause", "budget", "hub", "retry"]
AHEAD = 1
"""Attempts in RQ per worker, beside the one that it runs."""
_BY_AGE = attrgetter("rank", "submitted", "path")


class WaitingRequest(NamedTuple):
    """An accepted request in the queue. A tuple, because ten thousand of them are created and compared."""

    path: str
    attempt: str
    submitter: str
    submitted: float
    tier: Tier = "medium"
    rank: int = 1
    """The rank of its priority: 0 high, 1 normal, 2 low."""
    size: int = 0
    """Its size class, for estimates."""
    suite: str = ""
    held: bool = False
    place: int = 0
    """The position that its thread shows; 0: none."""
    why: str = ""
    """The blocker that its thread shows, as `QueueBlocker.stored`; "" if it shows none."""


@dataclass(frozen=True)
class RunningAttempt:
    """An attempt that a worker has taken. `started` in seconds since the epoch, 0 if unknown."""

    attempt: str
    submitter: str
    tier: Tier = "medium"
    path: str = ""
    size: int = 0
    suite: str = ""
    started: float = 0.0


@dataclass(frozen=True)
class WorkerCapacity:
    """A worker, or a run that a backend could start: the tiers that it serves, and the attempt that a worker reports as
    running. `ahead`: attempts in RQ beside the one that it runs."""

    tiers: tuple[Tier, ...] = TIERS
    doing: str = ""
    ahead: int = AHEAD


@dataclass(frozen=True)
class QueueConditions:
    """The conditions of the queue at this moment. `turns`: the time at which each submitter's last turn began."""

    paused: frozenset[str] = frozenset()
    budgets: Budgets = field(default_factory=Budgets)
    spent: Spent = field(default_factory=Spent)
    turns: Mapping[str, float] = field(default_factory=dict)
    durations: Durations = field(default_factory=Durations)
    experience: WaitExperience = field(default_factory=WaitExperience)
    capacities: tuple[WorkerCapacity, ...] = ()

    @property
    def lanes(self) -> Mapping[Tier, Tier]:
        """The lane of each tier."""
        return lanes(capacity.tiers for capacity in self.capacities)

    def queue_of(self, tier: Tier) -> Tier:
        """Return the tier in whose RQ queue a request of `tier` waits."""
        return serving(tier, {offered for capacity in self.capacities for offered in capacity.tiers})


@dataclass(frozen=True)
class QueueBlocker:
    """The fact that holds a request back: a hold, the pause of `what`, or a used-up budget, whose kind is `what`."""

    kind: BlockerKind
    what: str = ""

    @property
    def stored(self) -> str:
        """The text that the index stores: `hold`, `pause tier:large`, `budget submitter`. `read_blocker` parses it."""
        return f"{self.kind} {self.what}".strip()


def read_blocker(stored: str) -> QueueBlocker | None:
    """Return the blocker that the index stores as `stored`; None if it is empty, or of another version of Steward."""
    word, _, what = stored.partition(" ")
    kind = next((kind for kind in get_args(BlockerKind) if kind == word), None)
    return QueueBlocker(kind, what) if kind is not None else None


def find_blocker(
    request: WaitingRequest, conditions: QueueConditions, spent: Spent | None = None
) -> QueueBlocker | None:
    """Return the reason that holds `request` back, if there is one. `spent` replaces the value in `conditions`."""
    if request.held:
        return QueueBlocker("hold")
    if conditions.paused:
        for target in (BOARD, f"tier:{request.tier}", f"suite:{request.suite}"):
            if target in conditions.paused:
                return QueueBlocker("pause", target)
    if not conditions.budgets.unlimited:
        budget: BudgetKind | None = used_up(
            conditions.budgets,
            spent or conditions.spent,
            tier=request.tier,
            submitter=request.submitter,
            path=request.path,
        )
        if budget is not None:
            return QueueBlocker("budget", budget)
    return None


def in_turn(
    waiting: Iterable[WaitingRequest], running: Iterable[RunningAttempt], conditions: QueueConditions | None = None
) -> list[WaitingRequest]:
    """Return the requests in `waiting` that nothing holds back, in the order in which they will run.

    Takes n log n steps for n requests. Requests are ordered by rank, then by round: a submitter's second request comes
    after the first request of every other submitter.
    """
    conditions = conditions or QueueConditions()
    lane, turns = conditions.lanes, conditions.turns
    rounds: dict[tuple[Tier, str], int] = Counter((lane[busy.tier], busy.submitter) for busy in running)
    if not conditions.paused and conditions.budgets.unlimited:  # the common case, kept fast for thousands of requests
        free = [request for request in waiting if not request.held]
    else:
        free = [request for request in waiting if find_blocker(request, conditions) is None]
    free.sort(key=_BY_AGE)
    groups: dict[tuple[int, int], list[tuple[float, float, str, WaitingRequest]]] = defaultdict(list)
    for request in free:
        submitter, submitted = request.submitter, request.submitted
        lane_key = (lane[request.tier], submitter)
        round_number = rounds.get(lane_key, 0)
        rounds[lane_key] = round_number + 1
        # After a turn, a submitter waits for the next one since that turn, however old the requests are.
        last_turn = turns.get(submitter, submitted)
        groups[request.rank, round_number].append(
            (last_turn if last_turn > submitted else submitted, submitted, request.path, request)
        )
    return [entry[-1] for key in sorted(groups) for entry in sorted(groups[key])]


def choose(
    order: Iterable[WaitingRequest], running: Sequence[RunningAttempt], conditions: QueueConditions
) -> list[WaitingRequest]:
    """Return the requests in `order` that belong in RQ now: each worker gets one attempt after its current one.

    `order` holds all requests that no worker has taken, in RQ or not; `running` holds those that a worker has taken.
    """
    if not conditions.capacities:
        return []
    free_capacity, spent = _FreeCapacity(conditions, running), conditions.spent.copy()
    queues = {tier: conditions.queue_of(tier) for tier in TIERS}
    chosen: list[WaitingRequest] = []
    for request in order:
        if free_capacity.is_full:
            break
        if find_blocker(request, conditions, spent) is None and free_capacity.take(queues[request.tier]):
            chosen.append(request)
            seconds = conditions.durations.mean(request.suite, request.size)
            spent.add(seconds, tier=request.tier, submitter=request.submitter, path=request.path)
    return chosen


class _FreeCapacity:
    """Free capacity of the workers: each set of tiers needs a place per attempt for it (Hall's marriage theorem)."""

    def __init__(self, conditions: QueueConditions, running: Sequence[RunningAttempt]) -> None:
        attempts = {busy.attempt for busy in running}
        pinned = {capacity.doing for capacity in conditions.capacities} & attempts
        places = [
            (set(capacity.tiers), 1 + capacity.ahead - (capacity.doing in pinned)) for capacity in conditions.capacities
        ]
        self._left = {
            tiers: sum(count for capacity_tiers, count in places if capacity_tiers & set(tiers))
            for tiers in chain.from_iterable(combinations(TIERS, size) for size in range(1, len(TIERS) + 1))
        }
        for busy in running:
            if busy.attempt not in pinned:
                self._fill(conditions.queue_of(busy.tier))

    @property
    def is_full(self) -> bool:
        """Whether no worker has a free place."""
        return self._left[TIERS] <= 0

    def take(self, tier: Tier) -> bool:
        """Take a place for an attempt of `tier` and return whether there was one."""
        if any(left <= 0 for tiers, left in self._left.items() if tier in tiers):
            return False
        self._fill(tier)
        return True

    def _fill(self, tier: Tier) -> None:
        # Only attempts whose own tier is in a set of tiers take places from that set: they can run nowhere else.
        for tiers in self._left:
            if tier in tiers:
                self._left[tiers] -= 1
