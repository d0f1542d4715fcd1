"""A model's badge as SVG, the Markdown that shows it in a model card, and a BibTeX entry that cites its scores.

A badge holds no script, no style and no font: a model card on the Hub shows it as an image.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Annotated
from xml.etree import ElementTree

from fastapi import APIRouter, Path, Request
from fastapi.responses import Response

from bot.web.answers import tagged
from bot.web.board import BoardReader
from bot.web.charts.drawing import cut
from bot.web.frame import as_path
from bot.web.leaderboard_view import LeaderboardRowView
from bot.web.selection import Selection

HEADERS = {
    "cache-control": "public, max-age=300",
    "x-content-type-options": "nosniff",
    "content-security-policy": "default-src 'none'",
    "cross-origin-resource-policy": "cross-origin",
}
"""Caches may keep a badge for five minutes, and other sites may show it."""
MAX_LETTERS = 60
"""Letters of the board's title on a badge."""
_LETTER, _PADDING = 6.6, 12
"""Estimated width of a letter, and the space beside a text, in pixels: `textLength` fits the text to the estimate."""
GOOD, FLAGGED, UNKNOWN = "#12683a", "#a3261b", "#5a6072"


def badge_routes(board: BoardReader) -> APIRouter:
    """The route of the badges."""
    routes = APIRouter(include_in_schema=False)

    @routes.get("/badges/{name:path}.svg")
    def badge(request: Request, name: Annotated[str, Path(max_length=200)]) -> Response:
        present = name if board.public_entries(name) else board.renamed(name) or name
        rows = board.table.leaderboard()
        best = rows.best_of(present)
        if best is None and not board.public_entries(present):
            return Response(status_code=404)
        title = board.context.board.title
        if best is None:
            return tagged(request, draw(title, "not evaluated yet", UNKNOWN, name), "image/svg+xml", HEADERS)
        rank, average = int(rows.select(Selection()).ranks[best]), rows.lines[best].average or 0.0
        words = f"rank {rank:,} · {average:.2f}" if rank else f"{average:.2f}"
        is_flagged = bool(rows.flagged[best])
        svg = draw(title, "flagged" if is_flagged else words, FLAGGED if is_flagged else GOOD, rows.lines[best].model)
        return tagged(request, svg, "image/svg+xml", HEADERS)

    return routes


def draw(label: str, value: str, colour: str, model: str) -> bytes:
    """A badge with a label on the left and a value on the right; `model` is in its title, for people who do not see it.

    The XML tree escapes every text.
    """
    label, value = cut(label, MAX_LETTERS), cut(value, MAX_LETTERS)
    left, right = (round(len(text) * _LETTER) + _PADDING for text in (label, value))
    width = left + right
    root = ElementTree.Element(
        "svg",
        {
            "xmlns": "http://www.w3.org/2000/svg",
            "width": str(width),
            "height": "20",
            "viewBox": f"0 0 {width} 20",
            "role": "img",
            "aria-labelledby": "title",
        },
    )
    ElementTree.SubElement(root, "title", {"id": "title"}).text = cut(f"{model} on {label}: {value}", 400)
    ElementTree.SubElement(root, "rect", {"width": str(width), "height": "20", "rx": "4", "fill": "#2b2f3a"})
    path = f"M{left} 0H{width - 4}a4 4 0 0 1 4 4v12a4 4 0 0 1-4 4H{left}z"
    ElementTree.SubElement(root, "path", {"d": path, "fill": colour})
    for text, start, size in ((label, 0, left), (value, left, right)):
        attributes = {
            "x": f"{start + size / 2:g}",
            "y": "14",
            "fill": "#fff",
            "font-family": "Verdana,DejaVu Sans,sans-serif",
            "font-size": "11",
            "text-anchor": "middle",
            "textLength": str(size - _PADDING),
            "lengthAdjust": "spacingAndGlyphs",
        }
        ElementTree.SubElement(root, "text", attributes).text = text
    return bytes(ElementTree.tostring(root, encoding="utf-8"))


def markdown(model: str, title: str, address: str) -> str:
    """The line of a model card that shows the badge and links to the model's page."""
    words = re.sub(r"[\[\]()<>\\`]", "", cut(title, MAX_LETTERS))
    path = as_path(model).replace("(", "%28").replace(")", "%29")
    return f"[![{words}]({address}/badges/{path}.svg)]({address}/models/{path})"


def citation(best: LeaderboardRowView, ranked: int, title: str, address: str, now: float) -> str:
    """A BibTeX entry: the board, the model, its commit and precision, its scores, and the date."""
    day = datetime.fromtimestamp(now, UTC)
    scores = "; ".join(f"{_tex(name)} {value:.2f}" for name, value in best.scores.items())
    commit = f"commit {_tex(best.revision)}, " if best.revision else ""
    place = f", rank {best.rank} of {ranked}" if best.rank else ""
    key = re.sub(r"[^a-z0-9]+", "-", f"{best.model} {best.revision[:8]}".casefold()).strip("-")
    lines = {
        "title": f"{{{_tex(best.model)}}} on {{{_tex(title)}}}",
        "note": f"{commit}{_tex(best.precision)}: average {best.average or 0.0:.2f}{place}; {scores}",
        "year": f"{day.year}",
        "urldate": f"{day:%Y-%m-%d}",
        "url": f"{address}/models/{as_path(best.model)}".replace("%", r"\%") if address else "",
    }
    fields = "\n".join(f"  {name} = {{{value}}}," for name, value in lines.items() if value)
    return f"@misc{{{key},\n{fields}\n}}"


def _tex(text: str) -> str:
    """An untrusted text as plain text for TeX."""
    plain = re.sub(r"[\\{}~^\"]", "", cut(text, 200))
    return re.sub(r"([#$%&_])", r"\\\1", plain)
