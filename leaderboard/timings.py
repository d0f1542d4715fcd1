"""How long requests waited and evaluations took, how they ended, how long the queue was: counted by day.

A board has thousands of evaluations a month, and whoever looks wants to know what is usual, not each of them. So a
day counts how many spans fell into which bin; bins widen by a fifth from one to the next, and a quantile is off by less
than that. A quarter of a year is then a few thousand numbers, however busy the board.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, NamedTuple, get_args

from leaderboard.attempts import Fault

DAY = 86_400.0
PERIODS = (7, 30, 90)
"""Days that one may look back, today being the last of them."""
SLOT = 900.0
"""Seconds from one count of the queue to the next."""
POINTS = 90
"""Points of the line that shows the length of the queue, at most."""
LAST = 100
"""The last bin: whatever took longer than a year."""
_PER_DOUBLING = 4

What = Literal["waiting", "running"]
"""From submission to start, and from start to end."""
By = Literal["tier", "precision"]
End = Literal["finished"] | Fault
ENDS: tuple[End, ...] = ("finished", *get_args(Fault))
Counts = Mapping[int, int]
"""Bin → how many spans fell into it."""


class DurationSpread(NamedTuple):
    """What is usual: of `among` spans so many tenths and quarters took no longer than this, in seconds."""

    among: int
    tenth: float
    quarter: float
    half: float
    three_quarters: float
    nine_tenths: float


class SpanKey(NamedTuple):
    """Which spans are counted together."""

    what: What
    tier: str
    precision: str


@dataclass(frozen=True)
class DayCounts:
    """What was counted on one day; `number` is counted from the epoch, `queue`: slot → waiting and running then."""

    number: int
    spans: Mapping[SpanKey, Counts] = field(default_factory=dict, hash=False)
    ended: Mapping[End, int] = field(default_factory=dict, hash=False)
    queue: Mapping[int, tuple[int, int]] = field(default_factory=dict, hash=False)

    @property
    def is_empty(self) -> bool:
        """Whether nothing was counted."""
        return not (self.spans or self.ended or self.queue)


class DailyOutcomes(NamedTuple):
    """How many evaluations ended on one day, and how."""

    day: int
    counts: Mapping[End, int]


class QueueLength(NamedTuple):
    """How many waited and ran, on average, from `at` (seconds since the epoch) to the next point."""

    at: float
    waiting: float
    running: float


@dataclass(frozen=True)
class TimingReport:
    """A period of `length` days. `since` is the first day of it on which anything was counted."""

    length: int
    since: int | None
    spreads: Mapping[What, Mapping[By, Mapping[str, DurationSpread]]]
    overall: Mapping[What, DurationSpread]
    ended: Sequence[DailyOutcomes]
    queue: Sequence[QueueLength]

    def total(self, end: End) -> int:
        """How many ended so within the period."""
        return sum(one.counts.get(end, 0) for one in self.ended)


def day_of(seconds: float) -> int:
    """The day of a time, counted from the epoch."""
    return int(seconds // DAY)


def bin_of(seconds: float) -> int:
    """The bin of a span: 0 below a second, and then four for each doubling."""
    return 0 if seconds < 1 else min(LAST, 1 + int(_PER_DOUBLING * math.log2(seconds)))


def bounds(number: int) -> tuple[float, float]:
    """The shortest span in a bin, and the shortest in the next one, in seconds."""
    low = 2 ** ((number - 1) / _PER_DOUBLING) if number else 0.0
    return low, 2 ** (number / _PER_DOUBLING)


def quantile(counts: Counts, share: float) -> float:
    """The span, in seconds, that `share` (0-1) of those counted did not exceed; 0 where nothing was counted."""
    left = share * sum(counts.values())
    for number in sorted(counts):
        if left <= counts[number]:
            low, high = bounds(number)
            within = max(0.0, left) / counts[number]
            return low * (high / low) ** within if low else high * within
        left -= counts[number]
    return bounds(max(counts))[1] if counts else 0.0


def spread(counts: Counts) -> DurationSpread | None:
    """What is usual among those counted; None where nothing was."""
    total = sum(counts.values())
    return DurationSpread(total, *(quantile(counts, share) for share in (0.1, 0.25, 0.5, 0.75, 0.9))) if total else None


def report(days: Iterable[DayCounts], *, now: float, length: int) -> TimingReport:
    """What `days` tell of the last `length` ones, of which the one of `now` is the last."""
    today = day_of(now)
    period = sorted((one for one in days if today - length < one.number <= today), key=lambda one: one.number)
    sums: dict[tuple[What, By | None, str], Counter[int]] = {}
    for day in period:
        for span, counts in day.spans.items():
            for by, name in ((None, ""), ("tier", span.tier), ("precision", span.precision)):
                sums.setdefault((span.what, by, name), Counter()).update(counts)  # type: ignore[arg-type]  # the words above
    spreads: dict[What, dict[By, dict[str, DurationSpread]]] = {
        what: {"tier": {}, "precision": {}} for what in get_args(What)
    }
    overall: dict[What, DurationSpread] = {}
    for (what, by, name), counts in sums.items():
        if (found := spread(counts)) is not None:
            if by is None:
                overall[what] = found
            else:
                spreads[what][by][name] = found
    known = {one.number: one for one in period}
    ended = [DailyOutcomes(at, known[at].ended if at in known else {}) for at in range(today - length + 1, today + 1)]
    since = next((one.number for one in period if not one.is_empty), None)
    return TimingReport(length, since, spreads, overall, ended, queue_lengths(period, now=now, length=length))


def step_of(length: int) -> float:
    """Seconds from one point to the next of a line over `length` days: whole slots."""
    return max(1, math.ceil(length * DAY / SLOT / POINTS)) * SLOT


def queue_lengths(days: Iterable[DayCounts], *, now: float, length: int) -> list[QueueLength]:
    """The length of the queue over the period, in POINTS steps or a few less; steps without a count are left out."""
    begin = (day_of(now) - length + 1) * DAY
    step = step_of(length)
    sums: dict[int, list[tuple[int, int]]] = {}
    for day in days:
        for slot, counted in day.queue.items():
            at = day.number * DAY + slot * SLOT
            if begin <= at <= now:
                sums.setdefault(int((at - begin) // step), []).append(counted)
    return [
        QueueLength(
            begin + at * step,
            sum(waiting for waiting, _ in seen) / len(seen),
            sum(running for _, running in seen) / len(seen),
        )
        for at, seen in sorted(sums.items())
    ]
