"""Daily counts of waiting times, durations, outcomes and queue lengths, and reports over periods.

A board has thousands of evaluations a month, and readers want typical values. So each day counts spans in bins; each
bin is a fifth wider than the last, and the error of a quantile is smaller than that. A quarter of a year is then a few
thousand numbers on any board.
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
"""Lengths of a report in days, including today."""
SLOT = 900.0
"""Seconds between two counts of the queue."""
POINTS = 90
"""Maximal points in the line of queue lengths."""
LAST = 100
"""The last bin: spans longer than a year."""
_PER_DOUBLING = 4
"""Bins from a span to twice that span."""

What = Literal["waiting", "running"]
"""waiting: from submission to start; running: from start to end."""
By = Literal["tier", "precision"]
End = Literal["finished"] | Fault
ENDS: tuple[End, ...] = ("finished", *get_args(Fault))
Counts = Mapping[int, int]
"""The number of spans by bin."""


class DurationSpread(NamedTuple):
    """Quantiles of `among` spans, in seconds."""

    among: int
    tenth: float
    quarter: float
    half: float
    three_quarters: float
    nine_tenths: float


class SpanKey(NamedTuple):
    """The group in which a span is counted."""

    what: What
    tier: str
    precision: str


@dataclass(frozen=True)
class DayCounts:
    """The counts of one day; `number` is the day since the epoch, `queue` maps slots to (waiting, running)."""

    number: int
    spans: Mapping[SpanKey, Counts] = field(default_factory=dict, hash=False)
    ended: Mapping[End, int] = field(default_factory=dict, hash=False)
    queue: Mapping[int, tuple[int, int]] = field(default_factory=dict, hash=False)

    @property
    def is_empty(self) -> bool:
        """Whether the day has no counts."""
        return not (self.spans or self.ended or self.queue)


class DailyOutcomes(NamedTuple):
    """The number of evaluations that ended on one day, by outcome."""

    day: int
    counts: Mapping[End, int]


class QueueLength(NamedTuple):
    """Average numbers of waiting and running requests from `at` (seconds since the epoch) to the next point."""

    at: float
    waiting: float
    running: float


@dataclass(frozen=True)
class TimingReport:
    """The report on a period of `length` days. `since` is its first day with counts."""

    length: int
    since: int | None
    spreads: Mapping[What, Mapping[By, Mapping[str, DurationSpread]]]
    overall: Mapping[What, DurationSpread]
    ended: Sequence[DailyOutcomes]
    queue: Sequence[QueueLength]


def day_of(seconds: float) -> int:
    """Return the day of a time, counted from the epoch."""
    return int(seconds // DAY)


def bin_of(seconds: float) -> int:
    """Return the bin of a span: 0 below a second, then four bins per doubling."""
    return 0 if seconds < 1 else min(LAST, 1 + int(_PER_DOUBLING * math.log2(seconds)))


def bounds(number: int) -> tuple[float, float]:
    """Return the shortest span in a bin, and the shortest in the next bin, in seconds."""
    low = 2 ** ((number - 1) / _PER_DOUBLING) if number else 0.0
    return low, 2 ** (number / _PER_DOUBLING)


def quantile(counts: Counts, share: float) -> float:
    """Return the span in seconds that `share` (0-1) of the counted spans do not exceed; 0 without counts."""
    left = share * sum(counts.values())
    for number in sorted(counts):
        if left <= counts[number]:
            low, high = bounds(number)
            within = max(0.0, left) / counts[number]
            return low * (high / low) ** within if low else high * within
        left -= counts[number]
    return bounds(max(counts))[1] if counts else 0.0


def spread(counts: Counts) -> DurationSpread | None:
    """Return the quantiles of the counted spans; None without counts. All quantiles of one span are the same."""
    total = sum(counts.values())
    shares = (0.1, 0.25, 0.5, 0.75, 0.9) if total > 1 else (0.5,) * 5
    return DurationSpread(total, *(quantile(counts, share) for share in shares)) if total else None


def report(days: Iterable[DayCounts], *, now: float, length: int) -> TimingReport:
    """Return the report on the last `length` days up to `now`."""
    today = day_of(now)
    period = sorted(
        (day_counts for day_counts in days if today - length < day_counts.number <= today),
        key=lambda day_counts: day_counts.number,
    )
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
        if (quantiles := spread(counts)) is not None:
            if by is None:
                overall[what] = quantiles
            else:
                spreads[what][by][name] = quantiles
    by_number = {day_counts.number: day_counts for day_counts in period}
    ended = [
        DailyOutcomes(day_number, by_number[day_number].ended if day_number in by_number else {})
        for day_number in range(today - length + 1, today + 1)
    ]
    since = next((day_counts.number for day_counts in period if not day_counts.is_empty), None)
    return TimingReport(length, since, spreads, overall, ended, queue_lengths(period, now=now, length=length))


def step_of(length: int) -> float:
    """Return the seconds between two points of a line over `length` days: a multiple of the slot."""
    return max(1, math.ceil(length * DAY / SLOT / POINTS)) * SLOT


def queue_lengths(days: Iterable[DayCounts], *, now: float, length: int) -> list[QueueLength]:
    """Return the queue lengths over the period in up to POINTS steps, without steps that have no counts."""
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
