"""Estimates the duration of evaluations from measured ones, and the start of waiting requests.

A size class without measurements borrows from the nearest class that has some, scaled by size and with a wide spread.
A suite without any measurement gets no estimate.

Durations cannot predict requests that arrive later and run earlier; the more requests a submitter has, the more of
these there are. `WaitExperience` corrects for them with the ratio of real to estimated waits of earlier requests.
"""

from __future__ import annotations

import heapq
import math
from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from statistics import fmean, pstdev
from typing import NamedTuple, Protocol

LEVELS: tuple[int, ...] = tuple(step * 10**power for power in range(9) for step in (1, 3))
"""Levels of queue positions; a thread shows a new position when the position reaches another level."""
RANGE_DEVIATIONS = 1.5
"""Standard deviations on either side of the expected start that the range covers."""
BORROWED_DEVIATION = 0.6
"""Standard deviation, as a share of the mean, of a duration borrowed from another size class."""
MEAN_ERROR = 0.15
"""Error of the mean of many durations, as a share."""
NEWCOMER_SHARE = 0.5
"""Share by which the end of the range allows for later arrivals, before any experience."""
MIN_EXPERIENCE = 8
"""Waits at one level that are enough to correct an estimate."""
OUTSIDE_SHARE = 0.05
"""Share of waits that lie before the range, and the same share after it."""
SLACK_SECONDS = 600.0
"""Seconds added to both sides of a ratio of waits, because chance dominates short waits."""
REMAINING_SHARE = 0.1
"""Remaining time, as a share of the mean, of an evaluation that has already run longer than the mean."""
MAX_CLASS_DISTANCE = 4
"""The most size classes, each of twice the size of the one below, across which durations are scaled in proportion."""
MIN_MEASUREMENTS = 3
"""Measurements below which a size class borrows its spread."""


class DurationEstimate(NamedTuple):
    """The expected seconds of an evaluation, and their standard deviation."""

    mean: float
    spread: float


class StartEstimate(NamedTuple):
    """The likely start of an evaluation: earliest, expected, latest, in seconds since the epoch."""

    earliest: float
    expected: float
    latest: float


@dataclass(frozen=True)
class Durations:
    """Measured seconds by suite and size class (0: the size is unknown)."""

    measured: Mapping[tuple[str, int], Sequence[float]] = field(default_factory=dict, hash=False)

    def mean(self, suite: str, size: int) -> float:
        """Return the expected seconds of an evaluation; 0 without an estimate."""
        estimate = self.expect(suite, size)
        return estimate.mean if estimate else 0.0

    def expect(self, suite: str, size: int) -> DurationEstimate | None:
        """Return the expected duration of an evaluation; None if its suite has no measurements."""
        own = self.measured.get((suite, size), ())
        if len(own) >= MIN_MEASUREMENTS:
            return DurationEstimate(fmean(own), pstdev(own))
        sizes = sorted(known for name, known in self.measured if name == suite and self.measured[name, known])
        if not sizes:
            return None
        if own:
            return DurationEstimate(fmean(own), BORROWED_DEVIATION * fmean(own))
        if size == 0 or sizes == [0]:
            pooled = [seconds for known in sizes for seconds in self.measured[suite, known]]
            return DurationEstimate(fmean(pooled), max(pstdev(pooled), BORROWED_DEVIATION * fmean(pooled)))
        near = min((known for known in sizes if known), key=lambda known: abs(known - size))
        distance = max(-MAX_CLASS_DISTANCE, min(MAX_CLASS_DISTANCE, size - near))
        scaled = fmean(self.measured[suite, near]) * math.ldexp(1.0, distance)
        return DurationEstimate(scaled, BORROWED_DEVIATION * scaled)


class EvaluationKind(Protocol):
    """The properties of an evaluation that determine its duration."""

    @property
    def suite(self) -> str:
        """The name of its suite."""

    @property
    def size(self) -> int:
        """The size class of its model; 0: unknown."""


class RunningWork(NamedTuple):
    """An attempt that has occupied a worker for `elapsed` seconds."""

    suite: str
    size: int
    elapsed: float = 0.0


@dataclass
class StartEstimates:
    """The likely starts of a queue in order; compact, because few of thousands of estimates are read.

    `after` holds seconds from `now`; `variance` is that of the work before each, over all `workers` together.
    """

    now: float
    workers: int
    after: list[float] = field(default_factory=list)
    variance: list[float] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.after)

    def __getitem__(self, at: int) -> StartEstimate:
        start, spread = self.after[at], RANGE_DEVIATIONS * math.sqrt(self.variance[at]) / self.workers
        early = max(0.0, start * (1 - MEAN_ERROR) - spread)
        late = start * (1 + MEAN_ERROR + NEWCOMER_SHARE) + spread
        return StartEstimate(self.now + early, self.now + start, self.now + late)


def starts(
    order: Iterable[EvaluationKind], running: Sequence[RunningWork], workers: int, durations: Durations, now: float
) -> StartEstimates:
    """Return when each of `order` will start on `workers` workers that are busy with `running`; takes n log n steps.

    The estimates end before the first evaluation of unknown duration, and are empty without a worker. The expected
    start follows from the mean duration of each evaluation before it; the range follows from their variance, which
    averages out over workers.
    """
    estimates, expect = StartEstimates(now, workers), lru_cache(maxsize=None)(durations.expect)
    if workers < 1 or not durations.measured:
        return estimates
    free, variance = [0.0] * max(0, workers - len(running)), 0.0
    for work in running:
        duration = expect(work.suite, work.size) or DurationEstimate(0.0, 0.0)
        free.append(max(duration.mean - work.elapsed, REMAINING_SHARE * duration.mean))
        variance += duration.spread**2
    heapq.heapify(free)
    for kind in order:
        expected = expect(kind.suite, kind.size)
        if expected is None:
            break
        start = free[0]
        heapq.heapreplace(free, start + expected.mean)
        estimates.after.append(start)
        estimates.variance.append(variance)
        variance += expected.spread**2
    return estimates


@dataclass(frozen=True)
class WaitExperience:
    """Real waits as shares of the estimated waits, by the level of the request's round.

    A request's round is its number among those of its submitter; rounds are grouped into levels as positions are.
    """

    shares: Mapping[int, Sequence[float]] = field(default_factory=dict, hash=False)

    def applied(self, start: StartEstimate, round_number: int, now: float) -> StartEstimate:
        """Return the estimate `start` of a request in round `round_number`, corrected by experience."""
        shares = sorted(self.shares.get(level(round_number), ()))
        if len(shares) < MIN_EXPERIENCE:
            return start
        cut = int(OUTSIDE_SHARE * len(shares))
        early, middle, late = shares[cut], shares[len(shares) // 2], shares[-1 - cut]
        wait = start.expected - now + SLACK_SECONDS
        return StartEstimate(*(now + max(0.0, wait * share - SLACK_SECONDS) for share in (early, middle, late)))


def level(position: int) -> int:
    """Return the smallest of 1, 3, 10, 30, … that is not below `position` (from 1)."""
    return LEVELS[bisect_left(LEVELS, position)]


def crosses(stated: int, position: int) -> bool:
    """Whether a thread that shows the position `stated` must show `position`; 0 stands for no position.

    A better position is shown at each level. A worse one, after other requests moved ahead, is shown only beyond the
    next level, because the position often recovers by itself.
    """
    if not stated or not position:
        return bool(stated) != bool(position)
    return level(position) < level(stated) or level(position) > level(level(stated) + 1)


def share_waited(expected: float, waited: float) -> float:
    """Return the real wait as a share of the expected wait; both in seconds."""
    return (waited + SLACK_SECONDS) / (expected + SLACK_SECONDS)
