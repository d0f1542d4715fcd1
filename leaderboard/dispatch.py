"""Who runs next: one pure rule, from which turn, position and what is held back all follow.

RQ is kept nearly empty on purpose: each worker has at most one attempt running and one ahead of it, so that no GPU
waits for the bot, and everything else can still be ordered, cancelled and explained. What lies in RQ and nobody took
yet waits like the rest: whoever has their turn before it takes its place.

    order     by priority; then the submitter who has the fewest attempts running or before; then who waited longest for
              their turn; then the path
    lanes     tiers that no worker shares are apart from each other: turns and positions count within a lane
    held      a hold, a pause or a budget: no turn and no position, but a reason
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain, combinations
from operator import attrgetter
from typing import Literal, NamedTuple

from leaderboard.budgets import Budgets, Spent, Whose, used_up
from leaderboard.estimates import Durations, WaitExperience
from leaderboard.holds import BOARD
from leaderboard.tiers import TIERS, Tier, lanes, serving

AHEAD = 1
_BY_AGE = attrgetter("rank", "submitted", "path")


class WaitingRequest(NamedTuple):
    """A request that was accepted and waits for its turn. A tuple: ten thousand of them are made and compared."""

    path: str
    attempt: str
    submitter: str
    submitted: float
    tier: Tier = "medium"
    rank: int = 1
    """Of its priority: 0 high, 1 normal, 2 low."""
    size: int = 0
    """Its size class, for estimates."""
    suite: str = ""
    held: bool = False
    place: int = 0
    """The position that its thread tells; 0: none."""
    why: str = ""
    """What its thread says holds it back."""


@dataclass(frozen=True)
class RunningAttempt:
    """An attempt that a worker took. `started` in seconds since the epoch, 0 where that is not known."""

    attempt: str
    submitter: str
    tier: Tier = "medium"
    path: str = ""
    size: int = 0
    suite: str = ""
    started: float = 0.0


@dataclass(frozen=True)
class WorkerCapacity:
    """A worker: the tiers that it takes, and the attempt that it says it runs."""

    tiers: tuple[Tier, ...] = TIERS
    doing: str = ""


@dataclass(frozen=True)
class QueueConditions:
    """What applies to the queue at the moment. `turns`: when each submitter's last turn began."""

    paused: frozenset[str] = frozenset()
    budgets: Budgets = field(default_factory=Budgets)
    spent: Spent = field(default_factory=Spent)
    turns: Mapping[str, float] = field(default_factory=dict)
    durations: Durations = field(default_factory=Durations)
    experience: WaitExperience = field(default_factory=WaitExperience)
    capacities: tuple[WorkerCapacity, ...] = ()

    @property
    def lanes(self) -> Mapping[Tier, Tier]:
        """Tier → lane."""
        return lanes(capacity.tiers for capacity in self.capacities)

    def queue_of(self, tier: Tier) -> Tier:
        """The tier in whose queue a request of `tier` is put."""
        return serving(tier, {one for capacity in self.capacities for one in capacity.tiers})


@dataclass(frozen=True)
class QueueBlocker:
    """What keeps a request from having its turn: `what` is the pause's target, or whose budget is used up."""

    kind: Literal["hold", "pause", "budget"]
    what: str = ""


def find_blocker(
    request: WaitingRequest, conditions: QueueConditions, spent: Spent | None = None
) -> QueueBlocker | None:
    """What keeps `request` from having its turn, if anything does. `spent` in place of that of `terms`."""
    if request.held:
        return QueueBlocker("hold")
    if conditions.paused:
        for target in (BOARD, f"tier:{request.tier}", f"suite:{request.suite}"):
            if target in conditions.paused:
                return QueueBlocker("pause", target)
    if not conditions.budgets.unlimited:
        whose: Whose | None = used_up(
            conditions.budgets,
            spent or conditions.spent,
            tier=request.tier,
            submitter=request.submitter,
            path=request.path,
        )
        if whose is not None:
            return QueueBlocker("budget", whose)
    return None


def in_turn(
    waiting: Iterable[WaitingRequest], running: Iterable[RunningAttempt], conditions: QueueConditions | None = None
) -> list[WaitingRequest]:
    """Those of `waiting` that nothing holds back, in the order in which they will run.

    It takes n log n steps for n requests. Ranks come first, then rounds: a submitter's second request comes after the
    first one of everybody else.
    """
    conditions = conditions or QueueConditions()
    lane, turns = conditions.lanes, conditions.turns
    rounds: dict[tuple[Tier, str], int] = Counter((lane[busy.tier], busy.submitter) for busy in running)
    if (
        not conditions.paused and conditions.budgets.unlimited
    ):  # by far the most frequent case, of thousands of requests
        free = [one for one in waiting if not one.held]
    else:
        free = [one for one in waiting if find_blocker(one, conditions) is None]
    free.sort(key=_BY_AGE)
    found: dict[tuple[int, int], list[tuple[float, float, str, WaitingRequest]]] = defaultdict(list)
    for one in free:
        submitter, submitted = one.submitter, one.submitted
        who = (lane[one.tier], submitter)
        turn = rounds.get(who, 0)
        rounds[who] = turn + 1
        # Who had a turn has waited for the next one only since then, however old their requests are.
        last = turns.get(submitter, submitted)
        found[one.rank, turn].append((last if last > submitted else submitted, submitted, one.path, one))
    return [entry[-1] for key in sorted(found) for entry in sorted(found[key])]


def next_attempts(
    waiting: Iterable[WaitingRequest], running: Sequence[RunningAttempt], conditions: QueueConditions
) -> list[WaitingRequest]:
    """Those of `waiting` that should lie in RQ now, so that each worker has one attempt ahead of the one it runs.

    `waiting` are all that no worker took yet, in RQ or not; `running` those that one did.
    """
    return choose(in_turn(waiting, running, conditions), running, conditions)


def choose(
    order: Iterable[WaitingRequest], running: Sequence[RunningAttempt], conditions: QueueConditions
) -> list[WaitingRequest]:
    """`next_attempts` of those whose `order` is known."""
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
    """How much more workers can take: every set of tiers needs as many places as there are attempts for it (Hall)."""

    def __init__(self, conditions: QueueConditions, running: Sequence[RunningAttempt]) -> None:
        attempts = {busy.attempt for busy in running}
        pinned = {capacity.doing for capacity in conditions.capacities} & attempts
        places = [(set(one.tiers), 1 + AHEAD - (one.doing in pinned)) for one in conditions.capacities]
        self._left = {
            tiers: sum(count for takes, count in places if takes & set(tiers))
            for tiers in chain.from_iterable(combinations(TIERS, size) for size in range(1, len(TIERS) + 1))
        }
        for busy in running:
            if busy.attempt not in pinned:
                self._fill(conditions.queue_of(busy.tier))

    @property
    def is_full(self) -> bool:
        """Whether no worker can take anything more."""
        return self._left[TIERS] <= 0

    def take(self, tier: Tier) -> bool:
        """Take a place for an attempt of `tier`, if there is one."""
        if any(left <= 0 for tiers, left in self._left.items() if tier in tiers):
            return False
        self._fill(tier)
        return True

    def _fill(self, tier: Tier) -> None:
        # A set of tiers is crowded only by attempts that can go nowhere else: those whose own tier is in it.
        for tiers in self._left:
            if tier in tiers:
                self._left[tiers] -= 1
