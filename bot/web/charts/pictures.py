"""From figures to pictures: what is drawn of them, on which scale, and what it says to those who do not see it."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from datetime import UTC, datetime

from bot.web.charts import models
from bot.web.charts.drawing import Picture, Series, Tone
from bot.web.charts.words import ENDS, short_span, words
from leaderboard.attempts import Fault
from leaderboard.times import read_time
from leaderboard.timings import DAY, step_of

SCALE = (1, 10, 60, 600, 3_600, 28_800, 259_200, 2_592_000, 31_536_000)
"""Seconds at which a scale of spans may have a tick."""
_TONES: Mapping[Fault, Tone] = {"submission": "b", "us": "c", "hub": "d", "unknown": "e"}


def ranges(found: models.DurationSpreadsView, what: str) -> Picture | None:
    """Who waited, or ran, how long: nine tenths and half of each tier and precision, on a scale of logarithms."""
    rows: list[models.DurationSpreadView | None] = [*found.tiers]
    if found.tiers and found.precisions:
        rows.append(None)
    rows += found.precisions
    if found.overall is None or not found.tiers:
        return None
    ticks = scale(
        min(one.tenth for one in rows if one is not None), max(one.nine_tenths for one in rows if one is not None)
    )

    def height(seconds: float) -> float:
        return math.log10(max(seconds, ticks[0]) / ticks[0])

    def parts(begin: str, end: str) -> list[float | None]:
        return [None if one is None else height(getattr(one, end)) - height(getattr(one, begin)) for one in rows]

    return Picture(
        title=words.title(what),
        says=words.spreads(what, found),
        kind="ranges",
        labels=["" if one is None else f"{one.name} · {short_span(one.half)}" for one in rows],
        series=[
            Series("", "unseen", [None if one is None else height(one.tenth) for one in rows]),
            Series(words.most(), "pale", parts("tenth", "quarter")),
            Series(words.half(), "a", parts("quarter", "half")),
            Series("", "a", parts("half", "three_quarters")),
            Series("", "pale", parts("three_quarters", "nine_tenths")),
        ],
        ticks=[(height(one), short_span(one)) for one in ticks],
    )


def scale(least: float, most: float) -> list[int]:
    """The ticks of a scale on which spans from `least` to `most` seconds have room: two of them, or more."""
    low = max((at for at, tick in enumerate(SCALE[:-1]) if tick <= least), default=0)
    high = min((at for at, tick in enumerate(SCALE) if tick >= most), default=len(SCALE) - 1)
    return list(SCALE[low : max(high, low + 1) + 1])


def outcomes(times: models.TimingsResponse) -> Picture | None:
    """How many came to results each day, and how many did not, by whose fault it was."""
    if not times.finished and not times.failed:
        return None
    most = max(one.finished + sum(one.failed.values()) for one in times.ended)
    faults = [fault for fault in _TONES if any(one.failed.get(fault) for one in times.ended)]
    return Picture(
        title=words.title("ended"),
        says=words.ended(times),
        kind="stacks",
        labels=[day_words(one.day) for one in times.ended],
        series=[
            Series(ENDS["finished"], "a", [one.finished for one in times.ended]),
            *(
                Series(ENDS[fault], _TONES[fault], [one.failed.get(fault, 0) for one in times.ended])
                for fault in faults
            ),
        ],
        ticks=even(most),
    )


def queue(times: models.TimingsResponse) -> Picture | None:
    """How many waited and ran, over time."""
    if not times.queue:
        return None
    known = {read_time(one.at) or 0.0: one for one in times.queue}
    step, begin = step_of(times.days), read_time(times.ended[0].day) or 0.0
    at = [begin + number * step for number in range(int((max(known) - begin) // step) + 1)]
    here = [known.get(one) for one in at]
    return Picture(
        title=words.title("queue"),
        says=words.queue(times),
        kind="lines",
        labels=[_date_words(one) if one % DAY < step else "" for one in at],
        series=[
            Series(words.waiting(), "a", [None if one is None else one.waiting for one in here]),
            Series(words.running(), "b", [None if one is None else one.running for one in here]),
        ],
        ticks=even(max(max(one.waiting, one.running) for one in times.queue)),
    )


def scores(found: models.ComparisonView) -> Picture:
    """A model's scores beside others', benchmark by benchmark."""
    names = [*found.own.benchmarks]

    def values(one: models.ScoresView) -> list[float | None]:
        return [one.average, *(one.benchmarks.get(name) for name in names)]

    tones: Mapping[models.Whose, Tone] = {"base": "b", "best": "c", "middle": "e"}
    return Picture(
        title=words.scores(found),
        says=words.compared(found),
        kind="groups",
        labels=[words.average(), *names],
        series=[
            Series(found.model, "a", values(found.own)),
            *(Series(words.other(found, one), tones[one.what], values(one)) for one in found.others),
        ],
        ticks=[(at, str(at)) for at in (0, 25, 50, 75, 100)],
    )


def even(most: float) -> list[tuple[float, str]]:
    """The ticks of a scale from 0 to `most` or a little more: two to six of them, at round numbers."""
    rough = max(most, 1.0) / 4
    power = 10.0 ** math.floor(math.log10(rough))
    step = max(1.0, next(one * power for one in (1, 2, 5, 10) if one * power >= rough))
    return [(at * step, f"{at * step:,.0f}") for at in range(math.ceil(max(most, 1.0) / step) + 1)]


def day_words(day: str) -> str:
    """`2026-11-24` as `24 Nov`."""
    return _date_words(read_time(day) or 0.0)


def _date_words(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%-d %b")


PICTURES: Mapping[str, Callable[[models.TimingsResponse], Picture | None]] = {
    "waiting": lambda times: ranges(times.waiting, "waiting"),
    "running": lambda times: ranges(times.running, "running"),
    "ended": outcomes,
    "queue": queue,
}
