"""Turn figures into charts, each with a description for people who do not see it, and into images of a page."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from bot.web.charts import models
from bot.web.charts.drawing import WIDTHS, Picture, Series, Tone
from bot.web.charts.scatter import Scatter
from bot.web.charts.words import ENDS, short_span, words
from bot.web.frame import as_path
from leaderboard.attempts import Fault
from leaderboard.times import read_time
from leaderboard.timings import DAY, step_of

SCALE = (1, 10, 60, 600, 3_600, 28_800, 259_200, 2_592_000, 31_536_000)
"""Seconds at which a scale of durations may have a tick."""
MAX_WINDOW_WIDTHS = ("40rem", "64rem", "")
"""Width of the window up to which each of WIDTHS is shown; the last one is for all wider windows."""
_TONES: Mapping[Fault, Tone] = {"submission": "b", "us": "c", "hub": "d", "unknown": "e"}


def ranges(spreads: models.DurationSpreadsView, kind: str) -> Picture | None:
    """The durations by tier and precision, on a logarithmic scale: the middle 50 % and the middle 80 % of each."""
    rows: list[models.DurationSpreadView | None] = [*spreads.tiers]
    if spreads.tiers and spreads.precisions:
        rows.append(None)
    rows += spreads.precisions
    if spreads.overall is None or not spreads.tiers or all(row is None or row.among == 1 for row in rows):
        return None  # single durations have no range to draw
    ticks = scale(
        min(row.tenth for row in rows if row is not None), max(row.nine_tenths for row in rows if row is not None)
    )

    def height(seconds: float) -> float:
        return math.log10(max(seconds, ticks[0]) / ticks[0])

    def parts(begin: str, end: str) -> list[float | None]:
        return [None if row is None else height(getattr(row, end)) - height(getattr(row, begin)) for row in rows]

    return Picture(
        title=words.title(kind),
        says=words.spreads(kind, spreads),
        kind="ranges",
        labels=["" if row is None else words.spread(row) for row in rows],
        series=[
            Series("", "unseen", [None if row is None else height(row.tenth) for row in rows]),
            Series(words.most(), "pale", parts("tenth", "quarter")),
            Series(words.half(), "a", parts("quarter", "half")),
            Series("", "a", parts("half", "three_quarters")),
            Series("", "pale", parts("three_quarters", "nine_tenths")),
        ],
        ticks=[(height(tick), short_span(tick)) for tick in ticks],
    )


def scale(least: float, most: float) -> list[int]:
    """The ticks, at least two, of a scale for durations from `least` to `most` seconds."""
    low = max((at for at, tick in enumerate(SCALE[:-1]) if tick <= least), default=0)
    high = min((at for at, tick in enumerate(SCALE) if tick >= most), default=len(SCALE) - 1)
    return list(SCALE[low : max(high, low + 1) + 1])


def outcomes(times: models.TimingsResponse) -> Picture | None:
    """The attempts that finished on each day, and those that failed, by who was at fault."""
    if not times.finished and not times.failed:
        return None
    most = max(day.finished + sum(day.failed.values()) for day in times.ended)
    faults = [fault for fault in _TONES if any(day.failed.get(fault) for day in times.ended)]
    return Picture(
        title=words.title("ended"),
        says=words.ended(times),
        kind="stacks",
        labels=[day_words(day.day) for day in times.ended],
        series=[
            Series(ENDS["finished"], "a", [day.finished for day in times.ended]),
            *(
                Series(ENDS[fault], _TONES[fault], [day.failed.get(fault, 0) for day in times.ended])
                for fault in faults
            ),
        ],
        ticks=even_ticks(most),
    )


def queue(times: models.TimingsResponse) -> Picture | None:
    """The numbers of waiting and running requests over time."""
    if len(times.queue) < 2:
        return None  # a line needs two points
    lengths = {read_time(length.at) or 0.0: length for length in times.queue}
    step, begin = step_of(times.days), read_time(times.ended[0].day) or 0.0
    moments = [begin + number * step for number in range(int((max(lengths) - begin) // step) + 1)]
    points = [lengths.get(moment) for moment in moments]
    return Picture(
        title=words.title("queue"),
        says=words.queue(times),
        kind="lines",
        labels=[_date_words(moment) if moment % DAY < step else "" for moment in moments],
        series=[
            Series(words.waiting(), "a", [None if point is None else point.waiting for point in points]),
            Series(words.running(), "b", [None if point is None else point.running for point in points]),
        ],
        ticks=even_ticks(max(max(length.waiting, length.running) for length in times.queue)),
    )


def scores(comparison: models.ComparisonView) -> Picture:
    """A model's scores compared with others, benchmark by benchmark."""
    names = [*comparison.own.benchmarks]

    def values(view: models.ScoresView) -> list[float | None]:
        return [view.average, *(view.benchmarks.get(name) for name in names)]

    tones: Mapping[models.Reference, Tone] = {"base": "b", "best": "c", "middle": "e"}
    return Picture(
        title=words.scores(comparison),
        says=words.compared(comparison),
        kind="groups",
        labels=[words.average(), *names],
        series=[
            Series(comparison.model, "a", values(comparison.own)),
            *(Series(words.other(comparison, other), tones[other.what], values(other)) for other in comparison.others),
        ],
        ticks=[(at, str(at)) for at in (0, 25, 50, 75, 100)],
    )


def even_ticks(most: float) -> list[tuple[float, str]]:
    """Two to six ticks at round numbers, of a scale from 0 to `most` or a little more."""
    rough = max(most, 1.0) / 4
    power = 10.0 ** math.floor(math.log10(rough))
    step = max(1.0, next(factor * power for factor in (1, 2, 5, 10) if factor * power >= rough))
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


@dataclass(frozen=True)
class ChartImage:
    """One size of a chart, for windows up to the width `up_to`."""

    address: str
    up_to: str
    width: int
    height: int


@dataclass(frozen=True)
class ChartContext:
    """The argument of the macro `chart` in `templates/chart.html`; the sizes from the smallest to the largest."""

    title: str
    says: str
    sizes: tuple[ChartImage, ...]


def chart_context(picture: Picture | Scatter | None, address: str) -> ChartContext | None:
    """The context for `picture`, whose images are at `address` plus a `width` parameter; None without a picture."""
    if picture is None:
        return None
    sizes = zip(WIDTHS, MAX_WINDOW_WIDTHS, strict=True)
    images = (ChartImage(f"{address}width={width}", up_to, width, picture.height(width)) for width, up_to in sizes)
    return ChartContext(picture.title, picture.says, tuple(images))


def model_chart(comparison: models.ComparisonView | None) -> ChartContext | None:
    """The chart of a model's compared scores; None if there are none."""
    if comparison is None:
        return None
    return chart_context(scores(comparison), f"/charts/models/{as_path(comparison.model)}?")
