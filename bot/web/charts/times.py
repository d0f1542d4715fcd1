"""Durations, outcomes and queue lengths: read from Redis, computed once for each change of the counts.

A day that is over does not change any more. So each request costs one round trip, for today and yesterday (a process
may store its last counts late), and the first request costs another one for the days before.

Race accepted: after Redis was lost, a web server that has read earlier days goes on showing them until it stops.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from bot.core.context import BoardContext
from bot.evaluations.timing import OTHER
from bot.web.charts import models
from bot.web.charts.drawing import draw
from bot.web.charts.pictures import PICTURES
from leaderboard.tiers import TIERS
from leaderboard.timings import DAY, ENDS, PERIODS, DayCounts, DurationSpread, TimingReport, What, day_of, report
from redis_state.board.timings import day_from
from redis_state.clock import iso

DEFAULT_DAYS = 30


@dataclass
class _TimingCache:
    """Responses and charts computed from one state of the counts."""

    today: int
    recent: Sequence[Mapping[str, str]]
    times: dict[int, models.TimingsResponse] = field(default_factory=dict)
    pictures: dict[tuple[str, int, int], bytes] = field(default_factory=dict)


class TimingReader:
    """The timings of one board. Safe to share between threads."""

    def __init__(self, context: BoardContext) -> None:
        self._context = context
        self._lock = threading.Lock()
        self._days: dict[int, DayCounts] = {}
        self._cache = _TimingCache(0, ())

    def times(self, days: int = DEFAULT_DAYS) -> models.TimingsResponse:
        """The timings of the last `days`, which is one of PERIODS."""
        with self._lock:
            return self._times(self._current_cache(), days)

    def picture(self, name: str, days: int, width: int) -> bytes | None:
        """The chart `name` of PICTURES as SVG; None if it has no figures."""
        with self._lock:
            cache, key = self._current_cache(), (name, days, width)
            if key not in cache.pictures:
                picture = PICTURES[name](self._times(cache, days))
                if picture is None:
                    return None
                cache.pictures[key] = draw(picture, width)
            return cache.pictures[key]

    def _times(self, cache: _TimingCache, days: int) -> models.TimingsResponse:
        if days not in cache.times:
            cache.times[days] = self._response(report(self._days.values(), now=self._context.now(), length=days))
        return cache.times[days]

    def _current_cache(self) -> _TimingCache:
        """The cache of the current counts; read the new counts, and start a new cache if they changed."""
        today = day_of(self._context.now())
        recent = self._context.timings.read([today - 1, today])
        if (today, recent) != (self._cache.today, self._cache.recent):
            first_open = self._cache.today - 1  # this day and later ones may have changed since they were read
            days = {at: day for at, day in self._days.items() if today - max(PERIODS) < at < first_open}
            missing = [at for at in range(today - max(PERIODS) + 1, today - 1) if at not in days]
            counts = zip(missing, self._context.timings.read(missing) if missing else (), strict=True)
            days |= {at: day_from(at, fields) for at, fields in counts}
            self._days = days | {today - 1: day_from(today - 1, recent[0]), today: day_from(today, recent[1])}
            self._cache = _TimingCache(today, recent)
        return self._cache

    def _response(self, timings: TimingReport) -> models.TimingsResponse:
        return models.TimingsResponse(
            days=timings.length,
            since=_date(timings.since) if timings.since is not None else None,
            waiting=self._spreads(timings, "waiting"),
            running=self._spreads(timings, "running"),
            ended=[
                models.DailyOutcomesView(
                    day=_date(day.day),
                    finished=day.counts.get("finished", 0),
                    failed={end: day.counts[end] for end in ENDS if end != "finished" and day.counts.get(end)},
                )
                for day in timings.ended
            ],
            queue=[
                models.QueueLengthView(
                    at=iso(length.at), waiting=round(length.waiting, 2), running=round(length.running, 2)
                )
                for length in timings.queue
            ],
        )

    def _spreads(self, timings: TimingReport, kind: What) -> models.DurationSpreadsView:
        tiers, precisions = timings.spreads[kind]["tier"], timings.spreads[kind]["precision"]
        overall = timings.overall.get(kind)
        names = (*self._context.board.precisions, OTHER)
        return models.DurationSpreadsView(
            overall=_spread("", overall) if overall is not None else None,
            tiers=[_spread(name, tiers[name]) for name in TIERS if name in tiers],
            precisions=[_spread(name, precisions[name]) for name in dict.fromkeys(names) if name in precisions],
        )


def _spread(name: str, spread: DurationSpread) -> models.DurationSpreadView:
    rounded = {key: round(value, 1) for key, value in spread._asdict().items() if key != "among"}
    return models.DurationSpreadView(name=name, among=spread.among, **rounded)


def _date(day: int) -> str:
    return datetime.fromtimestamp(day * DAY, UTC).strftime("%Y-%m-%d")
