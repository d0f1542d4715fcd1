"""Statistics of waiting and running times: bins, quantiles, and reports of periods."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from leaderboard.timings import (
    DAY,
    LAST,
    PERIODS,
    POINTS,
    SLOT,
    DayCounts,
    QueueLength,
    SpanKey,
    bin_of,
    bounds,
    quantile,
    report,
    spread,
)

NOW = 20_000 * DAY + 12 * 3_600
TODAY = 20_000
HOUR = 3_600.0


@pytest.mark.parametrize(
    ("seconds", "number", "low"),
    [(-5.0, 0, 0.0), (0.0, 0, 0.0), (0.99, 0, 0.0), (1.0, 1, 1.0), (16.0, 17, 16.0), (1e99, LAST, 2**24.75)],
)
def test_bins_begin_at_a_second_and_double_every_four(seconds: float, number: int, low: float) -> None:
    """Negative spans fall into the first bin, and very long ones into the last."""
    assert bin_of(seconds) == number
    assert bounds(number)[0] == pytest.approx(low)


@given(st.floats(1.0, 3e7))
def test_a_span_lies_within_its_bin(seconds: float) -> None:
    """The upper end of a bin is a fifth above its lower end."""
    low, high = bounds(bin_of(seconds))
    assert low * (1 - 1e-9) <= seconds < high * (1 + 1e-9)
    assert high / low == pytest.approx(2**0.25)


@given(st.lists(st.floats(1.0, 3e6), min_size=1, max_size=60), st.floats(0.01, 0.99))
def test_a_quantile_is_off_by_less_than_a_fifth(spans: list[float], share: float) -> None:
    """A quantile lies in the bin of the span with its rank."""
    estimate = quantile(Counter(map(bin_of, spans)), share)
    rank = next(at for at in range(len(spans)) if share * len(spans) <= at + 1)
    exact = sorted(spans)[rank]
    assert exact / 1.2 < estimate < exact * 1.2


@given(st.lists(st.floats(0.0, 1e8), max_size=40))
def test_quantiles_rise(spans: list[float]) -> None:
    """The quantiles are in order, and there are none without counts."""
    quantiles = spread(Counter(map(bin_of, spans)))
    if not spans:
        assert quantiles is None
        return
    assert quantiles is not None
    assert quantiles.among == len(spans)
    assert list(quantiles[1:]) == sorted(quantiles[1:])


def test_one_span_is_no_range() -> None:
    """All quantiles of a single span are the same; of two, they differ."""
    single, two = spread(Counter([bin_of(100.0)])), spread(Counter([bin_of(100.0), bin_of(400.0)]))
    assert single is not None
    assert two is not None
    assert len(set(single[1:])) == 1
    assert single.half == pytest.approx(100.0, rel=0.2)
    assert two.tenth < two.half < two.nine_tenths


def test_without_counts_every_quantile_is_zero() -> None:
    """A quantile without counted spans is zero."""
    assert quantile(Counter(), 0.5) == 0.0


def counted(*spans: tuple[str, str, str, float, int], day: int = TODAY) -> DayCounts:
    """Build a day with spans of each kind: (what, tier, precision, seconds, count)."""
    spans_by_key: dict[SpanKey, Counter[int]] = {}
    for what, tier, precision, seconds, many in spans:
        spans_by_key.setdefault(SpanKey(what, tier, precision), Counter())[bin_of(seconds)] += many  # type: ignore[arg-type]
    return DayCounts(day, spans_by_key)


def test_a_report_tells_waits_and_runs_by_tier_and_by_precision() -> None:
    """Each span counts under its tier, under its precision, and in all."""
    days = [
        counted(("waiting", "small", "bfloat16", HOUR, 3), ("waiting", "large", "bfloat16", 10 * HOUR, 1)),
        counted(("running", "small", "4bit", 60.0, 2), ("waiting", "small", "4bit", HOUR, 1), day=TODAY - 6),
    ]
    timings = report(days, now=NOW, length=7)
    waiting = timings.spreads["waiting"]
    assert {name: quantiles.among for name, quantiles in waiting["tier"].items()} == {"small": 4, "large": 1}
    assert {name: quantiles.among for name, quantiles in waiting["precision"].items()} == {"bfloat16": 4, "4bit": 1}
    assert {name: quantiles.among for name, quantiles in timings.spreads["running"]["tier"].items()} == {"small": 2}
    assert timings.overall["waiting"].among == 5
    assert timings.overall["waiting"].half == pytest.approx(HOUR, rel=0.2)
    assert timings.spreads["waiting"]["tier"]["large"].half == pytest.approx(10 * HOUR, rel=0.2)
    assert timings.since == TODAY - 6


@pytest.mark.parametrize("length", PERIODS)
def test_a_period_holds_its_days_and_no_other(length: int) -> None:
    """A period ends today; the day before its start, and tomorrow, do not count; empty days are listed."""
    days = [DayCounts(TODAY + at, ended={"finished": 1}) for at in (1, 0, -length + 1, -length)]
    timings = report(days, now=NOW, length=length)
    assert [day.day for day in timings.ended] == list(range(TODAY - length + 1, TODAY + 1))
    assert sum(day.counts.get("finished", 0) for day in timings.ended) == 2
    assert (timings.ended[0].counts, timings.ended[1].counts) == ({"finished": 1}, {})


def test_a_report_without_counts_has_no_timings() -> None:
    """A report without counts has no quantiles, no points and no first day, but lists each day of the period."""
    timings = report([DayCounts(TODAY)], now=NOW, length=30)
    assert (timings.since, timings.overall, timings.queue) == (None, {}, [])
    assert timings.spreads == {"waiting": {"tier": {}, "precision": {}}, "running": {"tier": {}, "precision": {}}}
    assert len(timings.ended) == 30


def test_the_queue_is_averaged_over_each_step() -> None:
    """A week has steps of two hours; a step without a count is left out; the future does not count."""
    first = TODAY - 6
    days = [
        DayCounts(first, queue={0: (4, 1), 7: (8, 3), 16: (10, 0)}),
        DayCounts(TODAY, queue={47: (5, 5), 90: (99, 99)}),
    ]
    queue = report(days, now=NOW, length=7).queue
    assert queue == [
        QueueLength(first * DAY, 6.0, 2.0),
        QueueLength(first * DAY + 4 * HOUR, 10.0, 0.0),
        QueueLength(TODAY * DAY + 10 * HOUR, 5.0, 5.0),
    ]


@given(st.sampled_from(PERIODS), st.floats(0.0, DAY - 1))
def test_a_line_has_no_more_points_than_fit(length: int, time: float) -> None:
    """The number of points is limited for every period, at any time of the day."""
    slots = dict.fromkeys(range(int(DAY / SLOT)), (1, 1))
    days = [DayCounts(TODAY - at, queue=slots) for at in range(length + 3)]
    queue = report(days, now=TODAY * DAY + time, length=length).queue
    assert 0 < len(queue) <= POINTS
    assert [point.at for point in queue] == sorted({point.at for point in queue})
