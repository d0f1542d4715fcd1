"""Draw charts as SVG with pygal, and replace pygal's style by our own, for light and dark mode.

pygal is imported when the first chart is drawn: a web server without requests for charts needs none of it. Elements
for pygal's own script (tooltips, and their values) are removed, which leaves a third of the size, and nothing that
runs.
"""

from __future__ import annotations

import base64
import hashlib
import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from types import ModuleType
from typing import Any, Literal, TypeVar
from xml.etree import ElementTree

WIDTHS = (360, 760, 1080)
"""Widths of a chart on a phone, in a narrow window and on a screen, in SVG units: text has the same size in all."""
VERTICAL_HEIGHT = 280
"""The height of a chart with vertical bars or lines, in its own pixels."""
FONT_SIZE, LINE_HEIGHT = 14, 22
BAR_HEIGHT, GROUP_GAP, RANGE_HEIGHT = 13, 18, 34
"""Heights of horizontal bars: each bar of a group, the gap between two groups, a range."""
_MAX_LABEL = 12
"""Letters of a label below vertical bars, or of a tick."""
_SCALE_SHARE = 0.5
"""Least share of the width that a horizontal scale has: names are on its left."""
LETTER_WIDTH = 0.56
"""Width of a letter as a share of its height, estimated without the reader's fonts."""

STYLE = (
    ":root{color-scheme:light dark;--text:#1b1d28;--quiet:#5a6072;--line:#dfe2ea;--card:#fff;"
    "--a:#2d56b8;--b:#c4561b;--c:#8a3ea8;--d:#0f7a6c;--e:#7b8194;--pale:#b9c9f0}"
    "@media (prefers-color-scheme:dark){:root{--text:#e8eaf1;--quiet:#a3a9bb;--line:#2e3240;--card:#1a1d26;"
    "--a:#86a8ff;--b:#f29a5c;--c:#d192ee;--d:#4fcdb9;--e:#8d94a8;--pale:#3a4a7c}}"
    "text{font:14px system-ui,-apple-system,'Segoe UI',Roboto,'Noto Sans',sans-serif;fill:var(--text)}"
    ".background{fill:none}.axis .line{fill:none;stroke:var(--quiet)}.axis .guide{stroke:var(--line)}"
    ".axis text{fill:var(--quiet)}.x text{text-anchor:middle}.y text{text-anchor:end}"
    ".lying .y text{fill:var(--text)}.lying .x .line{stroke:var(--line)}"
    ".a{--own:var(--a)}.b{--own:var(--b)}.c{--own:var(--c)}.d{--own:var(--d)}.e{--own:var(--e)}.pale{--own:var(--pale)}"
    ".bars rect,.swatch{fill:var(--own);stroke:var(--card)}.lying .bars rect{stroke-width:1.5}"
    ".unseen rect{fill:none;stroke:none}"
    ".series .line{fill:none;stroke:var(--own);stroke-width:2.5;stroke-linejoin:round}.series circle{fill:var(--own)}"
    ".dots{fill:none;stroke:var(--own);stroke-width:6;stroke-linecap:round;stroke-opacity:.45}"
)
"""The style of all charts. It is constant, so the content policy can allow it by its digest."""
POLICY = f"default-src 'none'; style-src 'sha256-{base64.b64encode(hashlib.sha256(STYLE.encode()).digest()).decode()}'"
"""The content policy of a chart that is opened on its own: only the style above applies, and nothing runs or loads."""

T = TypeVar("T")
Kind = Literal["ranges", "groups", "stacks", "lines"]
Tone = Literal["a", "b", "c", "d", "e", "pale", "unseen"]
_GRAPHS: dict[Kind, str] = {
    "ranges": "HorizontalStackedBar",
    "groups": "HorizontalBar",
    "stacks": "StackedBar",
    "lines": "Line",
}


@dataclass(frozen=True)
class Series:
    """Values under one name ("": not in the legend). A value is None if there is none."""

    name: str
    tone: Tone
    values: Sequence[float | None]


@dataclass(frozen=True)
class Picture:
    """A chart before it is drawn: `ranges` and `groups` have horizontal bars, `stacks` vertical ones, `lines` are over
    time.

    `title` names the chart, and `says` describes it for people who do not see it. `labels` name the values of each
    series ("": not shown); `ticks` are those of the scale, each a value and its label.
    """

    title: str
    says: str
    kind: Kind
    labels: Sequence[str]
    series: Sequence[Series]
    ticks: Sequence[tuple[float, str]]

    @property
    def is_horizontal(self) -> bool:
        """Whether its bars are horizontal."""
        return self.kind in ("ranges", "groups")

    def height(self, width: int) -> int:
        """The height of the chart at that width, in its own pixels."""
        row = RANGE_HEIGHT if self.kind == "ranges" else BAR_HEIGHT * len(self.series) + GROUP_GAP
        bars = len(self.labels) * row + 2 * LINE_HEIGHT if self.is_horizontal else VERTICAL_HEIGHT
        return len(legend(self.series, width)) * LINE_HEIGHT + bars


@lru_cache(maxsize=1)
def _pygal() -> ModuleType:
    """Import pygal without lxml, which would cost megabytes of memory where it is installed."""
    import pygal
    from pygal.etree import etree

    etree.to_etree()
    module: ModuleType = pygal
    return module


def draw(picture: Picture, width: int) -> bytes:
    """`picture` as SVG."""
    rows, horizontal = legend(picture.series, width), picture.is_horizontal
    graph = getattr(_pygal(), _GRAPHS[picture.kind])(
        width=width,
        height=picture.height(width),
        no_prefix=True,
        js=(),
        css=(),
        show_legend=False,
        margin=8,
        margin_top=8 + len(rows) * LINE_HEIGHT,
        margin_right=26,
        style=_pygal().style.Style(
            label_font_size=FONT_SIZE, major_label_font_size=FONT_SIZE, no_data_font_size=FONT_SIZE
        ),
        truncate_label=-1,
        x_labels=_in_draw_order(_fitting_labels(picture.labels, width, horizontal=horizontal), horizontal=horizontal),
        y_labels=[
            {"value": value, "label": cut(label, _MAX_LABEL)}
            for value, label in _spaced_ticks(picture.ticks, width, horizontal=horizontal)
        ],
        range=(picture.ticks[0][0], picture.ticks[-1][0]),
        zero=picture.ticks[0][0],
        show_dots=False,
        allow_interruptions=True,
    )
    for series in picture.series:
        values = [None if value is None else round(value, 4) for value in series.values]
        graph.add(series.name or " ", _in_draw_order(values, horizontal=horizontal))
    root = graph.render_tree()
    _strip(root, picture.series)
    add_description(root, picture.title, picture.says)
    add_legend(root, rows)
    return bytes(ElementTree.tostring(root, encoding="utf-8"))


def _in_draw_order(values: Sequence[T], *, horizontal: bool) -> list[T]:
    """`values` in pygal's order: reversed for horizontal bars, which it draws from bottom to top."""
    return list(reversed(values)) if horizontal else list(values)


def _fitting_labels(labels: Sequence[str], width: int, *, horizontal: bool) -> list[str]:
    """The labels that fit: the beginning of each on the left, or only some of them below."""
    if horizontal:
        return [cut(label, int(width / 2.3 / FONT_SIZE / LETTER_WIDTH)) for label in labels]
    places = [at for at, label in enumerate(labels) if label]
    longest = max((len(labels[at]) for at in places), default=0) * FONT_SIZE * LETTER_WIDTH + FONT_SIZE
    step = max(1, math.ceil(len(places) * longest / (width - 60)))
    shown = set(places[::step])
    return [cut(label, _MAX_LABEL) if at in shown else "" for at, label in enumerate(labels)]


def _spaced_ticks(ticks: Sequence[tuple[float, str]], width: int, *, horizontal: bool) -> list[tuple[float, str]]:
    """The ticks of a scale; on a horizontal one, a label that would touch the one before it is left out."""
    if not horizontal:
        return list(ticks)
    spaced, end, (first, last) = list[tuple[float, str]](), -math.inf, (ticks[0][0], ticks[-1][0])
    for value, label in ticks:
        middle = (value - first) / (last - first) * _SCALE_SHARE * width
        half = len(label) * FONT_SIZE * LETTER_WIDTH / 2
        fits = middle - half > end + FONT_SIZE / 2
        spaced.append((value, label if fits else ""))
        end = middle + half if fits else end
    return spaced


def cut(text: str, length: int) -> str:
    """`text`, cut to `length` letters, without characters that are not printable."""
    plain = "".join(letter if letter.isprintable() else " " for letter in text)
    return plain if len(plain) <= length else plain[: length - 1] + "…"


def _strip(root: Any, series: Sequence[Series]) -> None:
    """Remove the elements of pygal's script and style, and set the tone of each series."""
    horizontal = any("horizontal" in node.get("class", "") for node in root)
    label_axis = "axis y" if horizontal else "axis x"
    for parent in list(root.iter()):
        has_labels = parent.get("class", "").startswith(label_axis)
        for child in list(parent):
            if not isinstance(child.tag, str) or child.tag in ("defs", "desc", "title") or _is_layer(child):
                parent.remove(child)
            elif has_labels:
                _remove_guide(parent, child)
    for node in root.iter():
        classes = node.get("class", "").split()
        if "series" in classes:
            node.set("class", f"series {series[int(classes[1].removeprefix('serie-'))].tone}")
        elif "horizontal" in classes:
            node.set("class", "lying")
        elif node.tag == "rect" and "rect" in classes:
            del node.attrib["class"], node.attrib["rx"], node.attrib["ry"]
        elif node.tag == "g" and classes == ["bar"]:
            del node.attrib["class"]
        for name in ("x", "y", "width", "height"):
            if name in node.attrib:
                node.set(name, f"{float(node.attrib[name]):.1f}".removesuffix(".0"))


def _remove_guide(axis: Any, label: Any) -> None:
    """Remove the guide line of a label of bars or days, and the label itself if it is empty."""
    text = label.find("text")
    if text is not None and not text.text:
        axis.remove(label)
    for line in label.findall("path"):
        if "guide" in line.get("class", ""):
            label.remove(line)


def _is_layer(node: Any) -> bool:
    """Whether `node` is a layer that pygal's script would fill, or a bar of length zero."""
    layers = {"overlay", "text-overlay", "tooltip-overlay", "titles"} & set(node.get("class", "").split())
    lengths = [float(rect.get(name, 0)) for rect in node.findall("rect") for name in ("width", "height")]
    return bool(layers) or (node.get("class") == "bar" and not all(lengths))


def add_description(root: Any, title: str, says: str) -> None:
    """Add the title, the description for people who do not see the chart, and the style."""
    for name in ("id", "class"):
        root.attrib.pop(name, None)
    root.set("role", "img")
    root.set("aria-labelledby", "title says")
    for at, (tag, key, text) in enumerate((("title", "title", title), ("desc", "says", says), ("style", "", STYLE))):
        node = ElementTree.Element(tag, {"id": key} if key else {})
        node.text = cut(text, 2_000) if key else text
        root.insert(at, node)


def legend(series: Sequence[Series], width: int) -> list[list[tuple[float, str, Tone]]]:
    """The lines of the legend: the left edge of each name, its text, and its tone."""
    rows: list[list[tuple[float, str, Tone]]] = []
    left = float(width)
    for named in series:
        if not named.name:
            continue
        text = cut(named.name, int((width - 60) / FONT_SIZE / LETTER_WIDTH))
        text_width = len(text) * FONT_SIZE * LETTER_WIDTH + 44
        if left + text_width > width:
            rows.append([])
            left = 8.0
        rows[-1].append((left, text, named.tone))
        left += text_width
    return rows


def add_legend(root: Any, rows: list[list[tuple[float, str, Tone]]]) -> None:
    """Add the lines that `legend` returned."""
    for at, row in enumerate(rows):
        for left, name, tone in row:
            top = at * LINE_HEIGHT
            shape = {"x": f"{left:.0f}", "y": str(top + 8), "width": "13", "height": "13", "rx": "3"}
            group = ElementTree.SubElement(root, "g", {"class": tone})
            ElementTree.SubElement(group, "rect", {"class": "swatch", **shape})
            text = ElementTree.SubElement(group, "text", {"x": f"{left + 19:.0f}", "y": str(top + 19)})
            text.text = name
