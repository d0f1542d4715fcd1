"""How long things take, as it was counted: read from Redis, worked out once for each change.

A day that is over does not change any more. So whoever looks costs one round trip, for today and yesterday (a process
may have been late with its last counts), and the first one of all costs another for the days before.

Race accepted: where Redis was lost, a web server that has read the days before goes on to tell of them until it stops.
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

USUAL = 30
"""Days that one looks back unless one asks for others."""


@dataclass
class _TimingCache:
    """What was worked out from one state of the counts."""

    today: int
    recent: Sequence[Mapping[str, str]]
    times: dict[int, models.TimingsResponse] = field(default_factory=dict)
    pictures: dict[tuple[str, int, int], bytes] = field(default_factory=dict)


class TimingReader:
    """How long things take on one board. Safe to share between threads."""

    def __init__(self, context: BoardContext) -> None:
        self._desk = context
        self._lock = threading.Lock()
        self._days: dict[int, DayCounts] = {}
        self._known = _TimingCache(0, ())

    def times(self, length: int = USUAL) -> models.TimingsResponse:
        """The last `length` days, which is one of PERIODS."""
        with self._lock:
            return self._times(self._look(), length)

    def picture(self, name: str, length: int, width: int) -> bytes | None:
        """The picture `name` of PICTURES as SVG; None where there is nothing to be seen on it."""
        with self._lock:
            known, asked = self._look(), (name, length, width)
            if asked not in known.pictures:
                picture = PICTURES[name](self._times(known, length))
                if picture is None:
                    return None
                known.pictures[asked] = draw(picture, width)
            return known.pictures[asked]

    def _times(self, known: _TimingCache, length: int) -> models.TimingsResponse:
        if length not in known.times:
            known.times[length] = self._told(report(self._days.values(), now=self._desk.now(), length=length))
        return known.times[length]

    def _look(self) -> _TimingCache:
        """What is known by now; brought in step with what was counted since the last look."""
        today = day_of(self._desk.now())
        recent = self._desk.timings.read([today - 1, today])
        if (today, recent) != (self._known.today, self._known.recent):
            over = self._known.today - 1  # later ones may have gone on since they were read
            kept = {at: day for at, day in self._days.items() if today - max(PERIODS) < at < over}
            missing = [at for at in range(today - max(PERIODS) + 1, today - 1) if at not in kept]
            found = zip(missing, self._desk.timings.read(missing) if missing else (), strict=True)
            kept |= {at: day_from(at, fields) for at, fields in found}
            self._days = kept | {today - 1: day_from(today - 1, recent[0]), today: day_from(today, recent[1])}
            self._known = _TimingCache(today, recent)
        return self._known

    def _told(self, found: TimingReport) -> models.TimingsResponse:
        return models.TimingsResponse(
            days=found.length,
            since=_date(found.since) if found.since is not None else None,
            waiting=self._spreads(found, "waiting"),
            running=self._spreads(found, "running"),
            ended=[
                models.DailyOutcomesView(
                    day=_date(one.day),
                    finished=one.counts.get("finished", 0),
                    failed={end: one.counts[end] for end in ENDS if end != "finished" and one.counts.get(end)},
                )
                for one in found.ended
            ],
            queue=[
                models.QueueLengthView(at=iso(one.at), waiting=round(one.waiting, 2), running=round(one.running, 2))
                for one in found.queue
            ],
        )

    def _spreads(self, found: TimingReport, what: What) -> models.DurationSpreadsView:
        tiers, precisions = found.spreads[what]["tier"], found.spreads[what]["precision"]
        overall = found.overall.get(what)
        names = (*self._desk.board.precisions, OTHER)
        return models.DurationSpreadsView(
            overall=_spread("", overall) if overall is not None else None,
            tiers=[_spread(name, tiers[name]) for name in TIERS if name in tiers],
            precisions=[_spread(name, precisions[name]) for name in dict.fromkeys(names) if name in precisions],
        )


def _spread(name: str, found: DurationSpread) -> models.DurationSpreadView:
    rounded = {key: round(value, 1) for key, value in found._asdict().items() if key != "among"}
    return models.DurationSpreadView(name=name, among=found.among, **rounded)


def _date(day: int) -> str:
    return datetime.fromtimestamp(day * DAY, UTC).strftime("%Y-%m-%d")
