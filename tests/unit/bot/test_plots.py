"""Plots (the front of the best, thinned dots, ticks), badges, and preview pictures."""

from __future__ import annotations

import io
from xml.etree import ElementTree

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from bot.web.charts.drawing import WIDTHS
from bot.web.charts.plots import MAX_DOTS, best_front, score_ticks, size_ticks, thinned, time_ticks
from bot.web.charts.previews import HEIGHT, WIDTH, Preview, PreviewBar, draw_preview
from bot.web.charts.scatter import Scatter, draw_scatter
from bot.web.pages.badges import draw, markdown

NUMBERS = st.floats(-1e6, 1e6, allow_nan=False)
POINTS = st.lists(st.tuples(NUMBERS, NUMBERS), max_size=60)


@given(POINTS)
def test_the_front_has_each_point_that_no_point_at_or_left_of_it_reaches(points: list[tuple[float, float]]) -> None:
    """The front lists, from left to right, each point that no point at or left of it reaches; equal ones once."""
    xs, ys = (np.array([point[at] for point in points], float) for at in (0, 1))
    front = [points[at] for at in best_front(xs, ys)]
    expected = {
        (x, y) for x, y in points if all(b < y or (b == y and a >= x) for a, b in points if a <= x and (a, b) != (x, y))
    }
    assert front == sorted(expected)
    assert [y for _, y in front] == sorted({y for _, y in front})


@settings(max_examples=20, deadline=None)
@given(st.integers(1, 20_000), st.integers(0, 9))
def test_dots_that_lie_close_together_are_drawn_once(count: int, seed: int) -> None:
    """At most `MAX_DOTS` different dots are drawn; few dots far from each other are all drawn."""
    dice = np.random.default_rng(seed)
    places = thinned(dice.random(count), dice.random(count))
    assert 1 <= len(set(places.tolist())) == len(places) <= min(count, MAX_DOTS)
    assert len(thinned(np.arange(100.0), np.arange(100.0))) == 100
    assert len(thinned(np.zeros(count), np.zeros(count))) == 1


@given(st.floats(0.001, 5_000), st.floats(0.001, 5_000), st.floats(0, 100), st.floats(0, 100))
def test_ticks_enclose_all_dots(size: float, other: float, score: float, best: float) -> None:
    """Each axis has at least two ascending ticks, which enclose all dots."""
    least, most = sorted((size, other))
    scores = sorted((score, best))
    times = sorted((1.6e9 + size * 1e5, 1.6e9 + other * 1e5))
    for ticks, low, high in (
        (size_ticks(np.log10([least, most])), np.log10(least), np.log10(most)),
        (score_ticks(*scores), *scores),
        (time_ticks(*times), *times),
    ):
        values = [value for value, _ in ticks]
        assert len(values) >= 2
        assert values == sorted(set(values))
        assert values[0] <= low + 1e-9
        assert values[-1] >= high - 1e-9


def test_the_axis_of_sizes_begins_and_ends_beside_the_models() -> None:
    """The axis of sizes begins and ends near the smallest and the largest model."""
    for least, most, ends in ((0.5, 70, ("0.3B", "100B")), (1e-5, 0.135, ("1e-05B", "0.3B")), (7, 7, ("3B", "10B"))):
        ticks = size_ticks(np.log10([least, most]))
        assert (ticks[0][1], ticks[-1][1]) == ends


@pytest.mark.parametrize("width", WIDTHS)
def test_a_scatter_draws_each_dot_within_its_frame(width: int) -> None:
    """All dots are one path, the front has a circle for each of its dots, and hostile names stay text."""
    hostile = '"><script>alert(1)</script>'
    ticks = [(0.0, "0"), (10.0, "10")]
    scatter = Scatter(hostile, hostile, [(1.0, 2.0), (3.0, 4.0)], [(0.0, 5.0), (10.0, 10.0)], ("a", "b"), ticks, ticks)
    root = ElementTree.fromstring(draw_scatter(scatter, width))  # noqa: S314  our own picture
    assert root.attrib["viewBox"] == f"0 0 {width} {scatter.height(width)}"
    tags = [node.tag.rpartition("}")[2] for node in root.iter()]
    assert "script" not in tags
    assert tags.count("circle") == 2
    (path,) = (node.attrib["d"] for node in root.iter() if node.get("class") == "dots")
    assert path.count("M") == 2
    for circle in (node for node in root.iter() if node.tag.endswith("}circle")):
        assert 0 < float(circle.attrib["cx"]) < width
        assert 0 < float(circle.attrib["cy"]) < scatter.height(width)


@given(st.text(max_size=80), st.text(max_size=80))
def test_a_badge_is_well_formed_whatever_the_texts_are(label: str, model: str) -> None:
    """A badge with any names is well-formed XML with only the expected elements."""
    root = ElementTree.fromstring(draw(label, "rank 1", "#12683a", model))  # noqa: S314  our own picture
    assert {node.tag.rpartition("}")[2] for node in root.iter()} == {"svg", "title", "rect", "path", "text"}


@given(st.text(max_size=40), st.text(max_size=40))
def test_the_markdown_of_a_badge_is_one_link(model: str, title: str) -> None:
    """The Markdown of a badge is one linked picture on one line, whatever the names contain."""
    line = markdown(model, title, "https://board.example")
    assert line.count("](") == 2
    assert line.count("[") == line.count("]") == 2
    assert "\n" not in line


@settings(max_examples=15, deadline=None)
@given(st.text(max_size=300), st.lists(st.tuples(st.text(max_size=60), st.floats(-5, 150)), max_size=12))
def test_a_picture_is_drawn_whatever_the_texts_are(text: str, scores: list[tuple[str, float]]) -> None:
    """A preview picture with any texts has the fixed size, and less than 100 kB."""
    bars = tuple(PreviewBar(name, f"{value:.2f}", value) for name, value in scores)
    png = draw_preview(Preview(text, text, text, bars))
    assert Image.open(io.BytesIO(png)).size == (WIDTH, HEIGHT)
    assert len(png) < 100_000
