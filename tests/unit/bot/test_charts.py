"""Charts as SVG: their content, that they hold nothing executable, and that any text in them stays well-formed XML."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator
from xml.etree import ElementTree

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bot.web.charts import models
from bot.web.charts.drawing import POLICY, WIDTHS, Kind, Picture, Series, cut, draw
from bot.web.charts.pictures import PICTURES, SCALE, day_words, even_ticks, outcomes, queue, ranges, scale, scores
from bot.web.charts.words import short_span

SVG = "{http://www.w3.org/2000/svg}"
HOSTILE = "</text><script>alert(1)</script>\"'&{{7*7}}\x00\u202e"


def read(svg: bytes) -> ElementTree.Element:
    """The parsed SVG document."""
    return ElementTree.fromstring(svg)  # noqa: S314  our own picture


def texts(root: ElementTree.Element) -> list[str]:
    """The contents of all text elements of a chart."""
    return [element.text or "" for element in root.iter(f"{SVG}text")]


def bars(root: ElementTree.Element, tone: str) -> Iterator[dict[str, str]]:
    """The attributes of the bars of one series."""
    for series in root.iter(f"{SVG}g"):
        if series.get("class") == f"series {tone}":
            yield from (element.attrib for element in series.iter(f"{SVG}rect"))


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0.2, "under 1 s"),
        (1.0, "1 s"),
        (59.8, "1 min"),
        (90.0, "1.5 min"),
        (599.0, "10 min"),
        (7_600.0, "2.1 h"),
        (86_400.0, "1 day"),
        (130_000.0, "1.5 days"),
        (31_536_000.0, "365 days"),
    ],
)
def test_spans_are_said_shortly(seconds: float, words: str) -> None:
    """A duration is written in the largest unit of which it has at least one, with one decimal below ten."""
    assert short_span(seconds) == words


@pytest.mark.parametrize(
    ("least", "most", "ticks"),
    [(700, 4_000, [600, 3_600, 28_800]), (0, 0, [1, 10]), (60, 60, [60, 600]), (5e7, 9e9, [2_592_000, 31_536_000])],
)
def test_a_scale_holds_what_is_to_be_shown(least: float, most: float, ticks: list[int]) -> None:
    """The ticks enclose the given range of durations as tightly as possible; the last possible tick is a year."""
    assert scale(least, most) == ticks


@given(st.floats(0, SCALE[-1]), st.floats(0, SCALE[-1]))
def test_every_scale_has_two_ticks_or_more(one: float, other: float) -> None:
    """An axis has at least two ticks, which enclose both values unless the smaller one is below all possible ticks."""
    ticks = scale(min(one, other), max(one, other))
    assert len(ticks) >= 2
    assert ticks[0] <= max(min(one, other), SCALE[0])
    assert ticks[-1] >= max(one, other)


@given(st.floats(0, 1e9))
def test_even_ticks_reach_beyond_the_most(most: float) -> None:
    """A linear axis runs from 0 to at least the largest value, with two to six ticks whose labels all differ."""
    ticks = even_ticks(most)
    values = [value for value, _ in ticks]
    assert 2 <= len(ticks) <= 6
    assert values[0] == 0
    assert values[-1] >= most
    assert len({words for _, words in ticks}) == len(ticks)


def spread(name: str, half: float, among: int = 10) -> models.DurationSpreadView:
    """A spread around `half` seconds."""
    return models.DurationSpreadView(
        name=name,
        among=among,
        tenth=half / 4,
        quarter=half / 2,
        half=half,
        three_quarters=half * 2,
        nine_tenths=half * 4,
    )


WAITS = models.DurationSpreadsView(
    overall=spread("", 3_600), tiers=[spread("small", 3_600), spread("large", 40_000)], precisions=[spread("4bit", 900)]
)
NOTHING = models.TimingsResponse(
    days=7, since=None, waiting=models.DurationSpreadsView(), running=models.DurationSpreadsView(), ended=[], queue=[]
)


def times(
    ends: list[models.DailyOutcomesView], lengths: list[models.QueueLengthView] | None = None, days: int = 7
) -> models.TimingsResponse:
    """Timings of a week (or of `days` days) with these daily outcomes and queue lengths."""
    return NOTHING.model_copy(update={"ended": ends, "queue": lengths or [], "days": days, "waiting": WAITS})


WEEK = [models.DailyOutcomesView(day=f"2026-11-{day}", finished=day - 20, failed={"us": 2}) for day in range(20, 27)]
LENGTHS = [
    models.QueueLengthView(at=f"2026-11-{day}T{hour:02}:00:00Z", waiting=day, running=2.5)
    for day in (20, 26)
    for hour in range(0, 24, 2)
]
COMPARED = models.ComparisonView(
    model=HOSTILE,
    path="x",
    category="chat",
    own=models.ScoresView(average=50.0, benchmarks={"Navigation": 40.0, "<b>Sorting</b>": 60.0}),
    others=[
        models.ReferenceScoresView(what="best", model="ada/a", average=70.0, benchmarks={"Navigation": 100.0}),
        models.ReferenceScoresView(what="middle", among=4, average=30.0, benchmarks={"<b>Sorting</b>": 0.0}),
    ],
)
EVERY = {
    "waiting": ranges(WAITS, "waiting"),
    "running": ranges(WAITS, "running"),
    "ended": outcomes(times(WEEK)),
    "queue": queue(times(WEEK, LENGTHS)),
    "scores": scores(COMPARED),
}


def test_one_duration_is_said_to_be_one() -> None:
    """Label and description say that a figure is from one run alone; where nothing else is known, no chart is drawn."""
    single = models.DurationSpreadView(
        name="small", among=1, tenth=80, quarter=80, half=80, three_quarters=80, nine_tenths=80
    )
    assert ranges(models.DurationSpreadsView(overall=single, tiers=[single]), "running") is None
    assert queue(times(WEEK, LENGTHS[:1])) is None
    two = single.model_copy(update={"name": "large", "among": 2})
    picture = ranges(models.DurationSpreadsView(overall=single, tiers=[single, two]), "running")
    assert picture is not None
    assert picture.labels[0] == "small · about 1.3 min, from one"
    assert picture.says.startswith("One evaluation took about 1.3 min: more are needed for a range.")


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("name", EVERY)
def test_a_picture_says_what_it_is_and_holds_nothing_that_runs(name: str, width: int) -> None:
    """Each SVG has a role, a title, a description and one style that its policy allows; it has no scripts or links."""
    picture = EVERY[name]
    assert picture is not None
    svg = draw(picture, width)
    root = read(svg)
    assert (root.get("role"), root.get("aria-labelledby")) == ("img", "title says")
    named = {element.get("id"): "".join(element.itertext()) for element in root if element.get("id")}
    assert named["title"] == cut(picture.title, 2_000)
    assert named["says"] == cut(picture.says, 2_000)
    (style,) = root.iter(f"{SVG}style")
    digest = base64.b64encode(hashlib.sha256((style.text or "").encode()).digest()).decode()
    assert f"default-src 'none'; style-src 'sha256-{digest}'" == POLICY
    allowed = {"svg", "title", "desc", "style", "g", "rect", "path", "text"}
    assert {str(element.tag).removeprefix(SVG) for element in root.iter()} <= allowed
    for element in root.iter():
        assert not [key for key in element.attrib if key.startswith("on") or key == "style" or "href" in key]
    assert b"Generated" not in svg
    assert len(svg) < 15_000
    _, _, drawn_width, height = map(float, (root.get("viewBox") or "").split())
    assert (drawn_width, height) == (width, picture.height(width))


def test_ranges_lie_from_the_first_tier_to_the_last_precision() -> None:
    """Bars from the 10th to the 90th percentile on a logarithmic axis: the tiers, an empty row, then the precisions."""
    picture = EVERY["waiting"]
    assert picture is not None
    assert list(picture.labels) == ["small · 1 h", "large · 11 h", "", "4bit · 15 min"]
    root = read(draw(picture, 760))
    words = texts(root)
    assert {"1 min", "10 min", "1 h", "8 h", "3 days", "eight of ten"} <= set(words)
    dark, pale = list(bars(root, "a")), list(bars(root, "pale"))
    assert len(dark) == len(pale) == 6
    widths = [float(bar["width"]) for bar in (*dark, *pale)]
    assert max(widths) - min(widths) < 0.3, "each bar spans a factor of two"
    first, second, third = (float(bar["x"]) for bar in sorted(dark[:3], key=lambda bar: float(bar["y"])))
    assert third < first < second, "from top to bottom"


def test_words_below_a_narrow_scale_do_not_touch() -> None:
    """A narrow chart leaves out some labels of the axis so that they do not overlap; a wide chart shows all of them."""
    labels = [(at * 0.7, f"{at} minutes") for at in range(7)]
    labels_at = {width: _ticks_of(labels, width) for width in WIDTHS}
    assert labels_at[WIDTHS[-1]] == [words for _, words in labels]
    assert 2 <= len(labels_at[WIDTHS[0]]) < len(labels)
    assert labels_at[WIDTHS[0]][0] == "0 minutes"


def _ticks_of(ticks: list[tuple[float, str]], width: int) -> list[str]:
    picture = Picture("t", "s", "ranges", ["a"], [Series("x", "a", [2.0])], ticks)
    return [words for words in texts(read(draw(picture, width))) if words.endswith(" minutes")]


def test_a_day_without_an_end_has_no_bar() -> None:
    """A day without outcomes of a kind has no bar of its colour; the legend leaves out kinds that did not occur."""
    picture = EVERY["ended"]
    assert picture is not None
    root = read(draw(picture, 360))
    assert len(list(bars(root, "a"))) == 6
    assert len(list(bars(root, "c"))) == 7
    assert "finished" in texts(root)
    assert "failed: our fault" in texts(root)
    assert "failed: the Hub" not in texts(root)


def test_a_line_has_a_gap_where_nobody_counted() -> None:
    """The line of the queue's length is interrupted where no length was recorded; its axis covers the whole period."""
    picture = EVERY["queue"]
    assert picture is not None
    root = read(draw(picture, 1080))
    lines = [
        element.get("d") or "" for element in root.iter(f"{SVG}path") if "reactive" in (element.get("class") or "")
    ]
    assert len(lines) == 4, "two series, each in two pieces"
    assert {"20 Nov", "23 Nov", "26 Nov"} <= set(texts(root))
    late = times(WEEK, [length for length in LENGTHS if "-26T" in length.at])
    assert (queue(late) or picture).series[0].values[:3] == [None, None, None]


def test_without_data_there_is_no_chart() -> None:
    """Without any data there is no chart."""
    assert {name: make(NOTHING) for name, make in PICTURES.items()} == dict.fromkeys(PICTURES)


def test_names_from_users_are_drawn_as_plain_text() -> None:
    """Names of models and benchmarks are drawn as text, without control characters, and cut off if they do not fit."""
    root = read(draw(scores(COMPARED), 1080))
    name = next(text for text in texts(root) if "script" in text)
    assert name == HOSTILE.replace("\x00", " ").replace("\u202e", " ")
    assert "<b>Sorting</b>" in texts(root)
    narrow = texts(read(draw(scores(COMPARED), 360)))
    assert any(text.endswith("…") for text in narrow)


@given(
    st.sampled_from(["ranges", "groups", "stacks", "lines"]),
    st.text(max_size=30),
    st.lists(st.tuples(st.text(max_size=20), st.none() | st.floats(0, 100)), min_size=1, max_size=6),
    st.sampled_from(WIDTHS),
)
@settings(deadline=None, max_examples=30, suppress_health_check=[HealthCheck.too_slow])
def test_whatever_it_says_a_picture_can_be_read(
    kind: Kind, words: str, values: list[tuple[str, float | None]], width: int
) -> None:
    """With any texts and values, a picture is well-formed and has one title."""
    labels, numbers = [label for label, _ in values], [value for _, value in values]
    series = [Series(words, "a", numbers), Series("", "pale", [None] * len(numbers))]
    picture = Picture(words, words, kind, labels, series, [(0.0, "0"), (50.0, "50"), (100.0, words)])
    root = read(draw(picture, width))
    assert len(list(root.iter(f"{SVG}title"))) == 1


@pytest.mark.parametrize(("day", "words"), [("2026-11-04", "4 Nov"), ("2026-02-28", "28 Feb")])
def test_days_are_named_without_their_year(day: str, words: str) -> None:
    """The labels of days have no year, because a chart covers at most a quarter of a year."""
    assert day_words(day) == words
