"""Pictures as SVG, drawn by pygal, and what is taken out of them and put in: one style of ours, for light and for dark.

pygal is imported when the first picture is drawn: a web server that nobody asks for one needs none of it. What it
writes for its own script (tooltips, and values to be found by it) is left out. A third of the size remains, and no
picture holds anything that runs.
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
"""Widths of a picture on a phone, in a narrow window and on a screen, in pixels of its own: letters keep their size."""
TALL = 280
"""Height of what stands, in its own pixels."""
LETTER, LINE = 14, 22
EACH, BETWEEN, ROW = 13, 18, 34
"""Heights of what lies: of each of several bars, of the room between two groups of them, of a range."""
_DAY = 12
"""Letters of the label of what stands, or of a tick, at most."""
_SCALE = 0.5
"""Share of the width that a scale that lies has at least: names stand on its left."""
_PER_LETTER = 0.56
"""Width of a letter, as a share of its height, as far as one can say without the reader's fonts."""

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
)
"""The style of all pictures. It holds nobody's words, so that its digest can stand in the policy that allows it."""
POLICY = f"default-src 'none'; style-src 'sha256-{base64.b64encode(hashlib.sha256(STYLE.encode()).digest()).decode()}'"
"""What browsers are told about a picture that is opened on its own: nothing runs or loads but the style above."""

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
    """Values under one name ("": the legend does not tell of it), None where there is none."""

    name: str
    tone: Tone
    values: Sequence[float | None]


@dataclass(frozen=True)
class Picture:
    """A chart before it is drawn: `ranges` and `groups` of bars lie, `stacks` of them stand, `lines` go over time.

    `title` says what it is and `says` what is to be seen, for those who do not see it. `labels` name the values of each
    series, those that are to be shown; `ticks` are the scale's, as value and words.
    """

    title: str
    says: str
    kind: Kind
    labels: Sequence[str]
    series: Sequence[Series]
    ticks: Sequence[tuple[float, str]]

    @property
    def lies(self) -> bool:
        """Whether its bars lie."""
        return self.kind in ("ranges", "groups")

    def height(self, width: int) -> int:
        """Of the whole picture at that width, in its own pixels."""
        row = ROW if self.kind == "ranges" else EACH * len(self.series) + BETWEEN
        return len(legend(self.series, width)) * LINE + (len(self.labels) * row + 2 * LINE if self.lies else TALL)


@lru_cache(maxsize=1)
def _pygal() -> ModuleType:
    """The library; without lxml, which would cost megabytes where it happens to be installed."""
    import pygal
    from pygal.etree import etree

    etree.to_etree()
    found: ModuleType = pygal
    return found


def draw(picture: Picture, width: int) -> bytes:
    """`picture` as SVG."""
    rows, lies = legend(picture.series, width), picture.lies
    graph = getattr(_pygal(), _GRAPHS[picture.kind])(
        width=width,
        height=picture.height(width),
        no_prefix=True,
        js=(),
        css=(),
        show_legend=False,
        margin=8,
        margin_top=8 + len(rows) * LINE,
        margin_right=26,
        style=_pygal().style.Style(label_font_size=LETTER, major_label_font_size=LETTER, no_data_font_size=LETTER),
        truncate_label=-1,
        x_labels=_in_turn(_fitting_labels(picture.labels, width, lies=lies), lies=lies),
        y_labels=[
            {"value": value, "label": cut(words, _DAY)} for value, words in _apart(picture.ticks, width, lies=lies)
        ],
        range=(picture.ticks[0][0], picture.ticks[-1][0]),
        zero=picture.ticks[0][0],
        show_dots=False,
        allow_interruptions=True,
    )
    for one in picture.series:
        values = [None if value is None else round(value, 4) for value in one.values]
        graph.add(one.name or " ", _in_turn(values, lies=lies))
    root = graph.render_tree()
    _strip(root, picture.series)
    _name(root, picture)
    _add_legend(root, rows)
    return bytes(ElementTree.tostring(root, encoding="utf-8"))


def _in_turn(values: Sequence[T], *, lies: bool) -> list[T]:
    """From top to bottom, where bars lie: pygal begins below."""
    return list(reversed(values)) if lies else list(values)


def _fitting_labels(labels: Sequence[str], width: int, *, lies: bool) -> list[str]:
    """Labels as there is room for them: the beginning of each, or some of them and not the others."""
    if lies:
        return [cut(one, int(width / 2.3 / LETTER / _PER_LETTER)) for one in labels]
    said = [at for at, one in enumerate(labels) if one]
    longest = max((len(labels[at]) for at in said), default=0) * LETTER * _PER_LETTER + LETTER
    every = max(1, math.ceil(len(said) * longest / (width - 60)))
    kept = set(said[::every])
    return [cut(one, _DAY) if at in kept else "" for at, one in enumerate(labels)]


def _apart(ticks: Sequence[tuple[float, str]], width: int, *, lies: bool) -> list[tuple[float, str]]:
    """Ticks of a scale; those of one that lies without their words, where these would touch those before them."""
    if not lies:
        return list(ticks)
    told, ends, (first, last) = list[tuple[float, str]](), -math.inf, (ticks[0][0], ticks[-1][0])
    for value, words in ticks:
        at, half = (value - first) / (last - first) * _SCALE * width, len(words) * LETTER * _PER_LETTER / 2
        has_room = at - half > ends + LETTER / 2
        told.append((value, words if has_room else ""))
        ends = at + half if has_room else ends
    return told


def cut(words: str, room: int) -> str:
    """`words`, or as much of them as `room` letters hold; without what no picture may hold."""
    plain = "".join(one if one.isprintable() else " " for one in words)
    return plain if len(plain) <= room else plain[: room - 1] + "…"


def _strip(root: Any, series: Sequence[Series]) -> None:
    """Take out what serves pygal's script and style, and give each series its tone."""
    lies = any("horizontal" in one.get("class", "") for one in root)
    across = "axis y" if lies else "axis x"
    for parent in list(root.iter()):
        crosses = parent.get("class", "").startswith(across)
        for child in list(parent):
            if not isinstance(child.tag, str) or child.tag in ("defs", "desc", "title") or _is_layer(child):
                parent.remove(child)
            elif crosses:
                _without_guide(parent, child)
    for one in root.iter():
        words = one.get("class", "").split()
        if "series" in words:
            one.set("class", f"series {series[int(words[1].removeprefix('serie-'))].tone}")
        elif "horizontal" in words:
            one.set("class", "lying")
        elif one.tag == "rect" and "rect" in words:
            del one.attrib["class"], one.attrib["rx"], one.attrib["ry"]
        elif one.tag == "g" and words == ["bar"]:
            del one.attrib["class"]
        for name in ("x", "y", "width", "height"):
            if name in one.attrib:
                one.set(name, f"{float(one.attrib[name]):.1f}".removesuffix(".0"))


def _without_guide(axis: Any, label: Any) -> None:
    """Take out the line of a label of bars or days, which tells nothing, and the label where it says nothing."""
    text = label.find("text")
    if text is not None and not text.text:
        axis.remove(label)
    for line in label.findall("path"):
        if "guide" in line.get("class", ""):
            label.remove(line)


def _is_layer(node: Any) -> bool:
    """Whether it is a layer that pygal's script would fill, or a bar of no length."""
    layers = {"overlay", "text-overlay", "tooltip-overlay", "titles"} & set(node.get("class", "").split())
    lengths = [float(one.get(name, 0)) for one in node.findall("rect") for name in ("width", "height")]
    return bool(layers) or (node.get("class") == "bar" and not all(lengths))


def _name(root: Any, picture: Picture) -> None:
    """Say what it is, to those who see it and to those who do not, and how it looks."""
    for name in ("id", "class"):
        root.attrib.pop(name, None)
    root.set("role", "img")
    root.set("aria-labelledby", "title says")
    for at, (tag, key, words) in enumerate(
        (("title", "title", picture.title), ("desc", "says", picture.says), ("style", "", STYLE))
    ):
        node = ElementTree.Element(tag, {"id": key} if key else {})
        node.text = cut(words, 2_000) if key else words
        root.insert(at, node)


def legend(series: Sequence[Series], width: int) -> list[list[tuple[float, str, Tone]]]:
    """The lines of the legend: where each name begins, what it says, and its tone."""
    rows: list[list[tuple[float, str, Tone]]] = []
    left = float(width)
    for one in series:
        if not one.name:
            continue
        words = cut(one.name, int((width - 60) / LETTER / _PER_LETTER))
        room = len(words) * LETTER * _PER_LETTER + 44
        if left + room > width:
            rows.append([])
            left = 8.0
        rows[-1].append((left, words, one.tone))
        left += room
    return rows


def _add_legend(root: Any, rows: list[list[tuple[float, str, Tone]]]) -> None:
    for at, row in enumerate(rows):
        for left, words, tone in row:
            box = {"x": f"{left:.0f}", "y": str(at * LINE + 8), "width": "13", "height": "13", "rx": "3"}
            group = ElementTree.SubElement(root, "g", {"class": tone})
            ElementTree.SubElement(group, "rect", {"class": "swatch", **box})
            text = ElementTree.SubElement(group, "text", {"x": f"{left + 19:.0f}", "y": str(at * LINE + 19)})
            text.text = words
