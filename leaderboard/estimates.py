"""How long evaluations take, from those that were measured, and when a waiting one will start.

A class of sizes in which nothing was measured borrows from the nearest one that has been, in proportion to the size and
with a wide spread; where nothing was measured with the suite at all, there is no estimate, and none is given.

What no sum of durations tells is who will come later and have their turn before: the more requests a submitter has, the
more of them. That is learned from those who have started: how long they waited, against what was worked out for them.
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from statistics import fmean, pstdev
from typing import NamedTuple, Protocol

from leaderboard.places import level

SPREAD = 1.5
"""Standard deviations on either side of the expected start that the range covers."""
BORROWED = 0.6
"""Standard deviation, as a share of the mean, of what was not measured in its own class of sizes."""
OFF = 0.15
"""By how much, as a share, even the mean of many may be off."""
NEWCOMERS = 0.5
"""By how much, as a share, the end of the range allows for those who come later, before anything was learned."""
ENOUGH = 8
"""Of those who stood alike: so many tell how it goes for them."""
OUTSIDE = 0.05
"""Share of them that lie before the range, and as many behind it."""
SLACK = 600.0
"""Seconds that count for nothing in a wait: the shorter it is, the more of it is chance."""
LEFT = 0.1
"""Of its mean, what an evaluation is expected to take still that has taken longer than that already."""
FARTHEST = 4
"""Classes of sizes, each twice the next, over which durations are scaled in proportion."""
FEW = 3
"""Measurements below which a class of sizes borrows its spread."""


class DurationEstimate(NamedTuple):
    """Of an evaluation: seconds, and their standard deviation."""

    mean: float
    spread: float


class StartEstimate(NamedTuple):
    """When an evaluation is likely to start: earliest, expected, latest, in seconds since the epoch."""

    earliest: float
    expected: float
    latest: float


@dataclass(frozen=True)
class Durations:
    """What was measured: seconds by suite and size class (0: the size is not known)."""

    measured: Mapping[tuple[str, int], Sequence[float]] = field(default_factory=dict, hash=False)

    def mean(self, suite: str, size: int) -> float:
        """Seconds that an evaluation is expected to take; 0 where nothing is known."""
        found = self.expect(suite, size)
        return found.mean if found else 0.0

    def expect(self, suite: str, size: int) -> DurationEstimate | None:
        """How long an evaluation takes; None where nothing was measured with its suite."""
        own = self.measured.get((suite, size), ())
        if len(own) >= FEW:
            return DurationEstimate(fmean(own), pstdev(own))
        sizes = sorted(known for name, known in self.measured if name == suite and self.measured[name, known])
        if not sizes:
            return None
        if own:
            return DurationEstimate(fmean(own), BORROWED * fmean(own))
        if size == 0 or sizes == [0]:
            pooled = [one for known in sizes for one in self.measured[suite, known]]
            return DurationEstimate(fmean(pooled), max(pstdev(pooled), BORROWED * fmean(pooled)))
        near = min((known for known in sizes if known), key=lambda known: abs(known - size))
        scaled = fmean(self.measured[suite, near]) * math.ldexp(1.0, max(-FARTHEST, min(FARTHEST, size - near)))
        return DurationEstimate(scaled, BORROWED * scaled)


class EvaluationKind(Protocol):
    """What tells how long an evaluation may take."""

    @property
    def suite(self) -> str:
        """The name of its suite."""

    @property
    def size(self) -> int:
        """The size class of its model; 0: not known."""


class RunningWork(NamedTuple):
    """An attempt that occupies a worker since `elapsed` seconds."""

    suite: str
    size: int
    elapsed: float = 0.0


@dataclass
class StartEstimates:
    """When each of a queue is likely to start, from `now` on, in order; made for thousands, of whom few ask.

    `after` in seconds from now, `variance` of the work before it, on all `workers` together.
    """

    now: float
    workers: int
    after: list[float] = field(default_factory=list)
    variance: list[float] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.after)

    def __getitem__(self, at: int) -> StartEstimate:
        start, spread = self.after[at], SPREAD * math.sqrt(self.variance[at]) / self.workers
        early, late = max(0.0, start * (1 - OFF) - spread), start * (1 + OFF + NEWCOMERS) + spread
        return StartEstimate(self.now + early, self.now + start, self.now + late)


def starts(
    order: Iterable[EvaluationKind], running: Sequence[RunningWork], workers: int, durations: Durations, now: float
) -> StartEstimates:
    """When each of `order` will start on `workers` workers that are busy with `running`; it takes n log n steps.

    It ends with the first of which nothing is known, and is empty where there is no worker. The expected start follows
    from the mean of each evaluation before it; the range from how far they differ, which evens out the more workers
    there are.
    """
    found, expect = StartEstimates(now, workers), lru_cache(maxsize=None)(durations.expect)
    if workers < 1 or not durations.measured:
        return found
    free, variance = [0.0] * max(0, workers - len(running)), 0.0
    for work in running:
        known = expect(work.suite, work.size) or DurationEstimate(0.0, 0.0)
        free.append(max(known.mean - work.elapsed, LEFT * known.mean))
        variance += known.spread**2
    heapq.heapify(free)
    for kind in order:
        expected = expect(kind.suite, kind.size)
        if expected is None:
            break
        start = free[0]
        heapq.heapreplace(free, start + expected.mean)
        found.after.append(start)
        found.variance.append(variance)
        variance += expected.spread**2
    return found


@dataclass(frozen=True)
class WaitExperience:
    """How long people waited, as a share of what was worked out for them, by the level of their round.

    A request's round is its number among those of its submitter; rounds share levels as positions do.
    """

    shares: Mapping[int, Sequence[float]] = field(default_factory=dict, hash=False)

    def applied(self, start: StartEstimate, turn: int, now: float) -> StartEstimate:
        """`start`, as it was worked out, for a request in round `turn`, as experience has it."""
        known = sorted(self.shares.get(level(turn), ()))
        if len(known) < ENOUGH:
            return start
        cut = int(OUTSIDE * len(known))
        early, middle, late = known[cut], known[len(known) // 2], known[-1 - cut]
        wait = start.expected - now + SLACK
        return StartEstimate(*(now + max(0.0, wait * share - SLACK) for share in (early, middle, late)))


def share_waited(expected: float, waited: float) -> float:
    """How long somebody waited, as a share of what was expected; both in seconds."""
    return (waited + SLACK) / (expected + SLACK)
