"""Draw a chart of dots as SVG, with the line of the best ones: in the style of `drawing`, small for many dots."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from xml.etree import ElementTree

from bot.web.charts.drawing import (
    FONT_SIZE,
    LETTER_WIDTH,
    LINE_HEIGHT,
    Series,
    add_description,
    add_legend,
    legend,
)

TALL, LOW, NARROW = 420, 320, 500
"""Heights of a chart, and the width below which it is low."""
LEFT, RIGHT, BOTTOM, TOP = 44, 26, 30, 12
"""Space around the dots, in the chart's own pixels."""
Dot = tuple[float, float]


@dataclass(frozen=True)
class Scatter:
    """A chart of dots before it is drawn; `front` are the best dots, from left to right.

    `title` names the chart, and `says` describes it for people who do not see it. Ticks are a value and its label.
    """

    title: str
    says: str
    dots: Sequence[Dot]
    front: Sequence[Dot]
    names: tuple[str, str]
    """The names of the dots and of the line in the legend."""
    x_ticks: Sequence[tuple[float, str]]
    y_ticks: Sequence[tuple[float, str]]

    @property
    def series(self) -> list[Series]:
        """The parts of the legend."""
        return [Series(self.names[0], "a", ()), Series(self.names[1], "b", ())]

    def height(self, width: int) -> int:
        """The height of the chart at that width, in its own pixels."""
        return len(legend(self.series, width)) * LINE_HEIGHT + (LOW if width < NARROW else TALL)


class _Scale:
    """Turns values into pixels."""

    def __init__(self, ticks: Sequence[tuple[float, str]], start: float, end: float) -> None:
        self._low, self._start = ticks[0][0], start
        self._factor = (end - start) / ((ticks[-1][0] - self._low) or 1.0)

    def __call__(self, value: float) -> str:
        return f"{self._start + (value - self._low) * self._factor:.1f}".removesuffix(".0")


def draw_scatter(scatter: Scatter, width: int) -> bytes:
    """`scatter` as SVG."""
    rows, height = legend(scatter.series, width), scatter.height(width)
    top, floor = len(rows) * LINE_HEIGHT + TOP, height - BOTTOM
    x, y = _Scale(scatter.x_ticks, LEFT, width - RIGHT), _Scale(scatter.y_ticks, floor, top)
    root = ElementTree.Element("svg", {"xmlns": "http://www.w3.org/2000/svg", "viewBox": f"0 0 {width} {height}"})
    across = ElementTree.SubElement(root, "g", {"class": "axis y"})
    for value, label in scatter.y_ticks:
        ElementTree.SubElement(across, "path", {"class": "guide line", "d": f"M{LEFT} {y(value)}H{width - RIGHT}"})
        ElementTree.SubElement(across, "text", {"x": str(LEFT - 8), "y": f"{float(y(value)) + 5:g}"}).text = label
    down = ElementTree.SubElement(root, "g", {"class": "axis x"})
    end = 0.0
    for value, label in scatter.x_ticks:
        half, middle = len(label) * FONT_SIZE * LETTER_WIDTH / 2, float(x(value))
        ElementTree.SubElement(down, "path", {"class": "guide line", "d": f"M{x(value)} {top}V{floor}"})
        if middle - half > end and middle + half < width:  # a label that would touch the one before is left out
            ElementTree.SubElement(down, "text", {"x": x(value), "y": str(floor + 20)}).text = label
            end = middle + half + FONT_SIZE / 2
    dots = ElementTree.SubElement(root, "g", {"class": "a"})
    # One path for all dots, each a line without length and with round ends: a tenth of the size of circles.
    path = "".join(f"M{x(at)} {y(up)}h0" for at, up in scatter.dots)
    ElementTree.SubElement(dots, "path", {"class": "dots", "d": path})
    best = ElementTree.SubElement(root, "g", {"class": "series b"})
    steps = "".join(f"H{x(at)}V{y(up)}" for at, up in scatter.front[1:])
    if scatter.front:
        first = f"M{x(scatter.front[0][0])} {y(scatter.front[0][1])}"
        last = max(at for at, _ in (*scatter.dots, *scatter.front))
        ElementTree.SubElement(best, "path", {"class": "line", "d": f"{first}{steps}H{x(last)}"})
    for at, up in scatter.front:
        ElementTree.SubElement(best, "circle", {"cx": x(at), "cy": y(up), "r": "4.5"})
    add_description(root, scatter.title, scatter.says)
    add_legend(root, rows)
    return bytes(ElementTree.tostring(root, encoding="utf-8"))
