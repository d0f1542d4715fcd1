"""Draw the picture that a chat shows for a link to a page: title, name, and scores as bars, as PNG.

Pillow is imported when the first picture is drawn, and its own font is used. Untrusted texts are only drawn, cut to
the width. Pictures are cached by their content.
"""

from __future__ import annotations

import io
import threading
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

from bot.web.charts.drawing import cut

if TYPE_CHECKING:
    from PIL.ImageDraw import ImageDraw
    from PIL.ImageFont import FreeTypeFont

WIDTH, HEIGHT, MARGIN = 1200, 630, 64
MAX_BARS, MAX_LETTERS, MAX_CACHED = 8, 200, 64
"""Bars of one picture, letters of one text, and pictures that are cached, of about 30 kB each."""
GROUND, CARD, TEXT, QUIET, BAR = "#13151c", "#2e3240", "#e8eaf1", "#a3a9bb", "#86a8ff"
_TOP, _BOTTOM, _NAME_ROOM = 296, 590, 600
"""Top and bottom of the bars, and the width of the names beside them, in pixels."""
_LOCK = threading.Lock()
"""One picture is drawn at a time: it takes about 30 ms, and threads share the font."""


@dataclass(frozen=True)
class PreviewBar:
    """One line of a picture: a name, a value as text, and the length of its bar, 0-100."""

    name: str
    value: str
    length: float


@dataclass(frozen=True)
class Preview:
    """A picture before it is drawn."""

    board: str
    heading: str
    says: str
    bars: tuple[PreviewBar, ...]


@lru_cache(maxsize=MAX_CACHED)
def draw_preview(preview: Preview) -> bytes:
    """The picture as PNG."""
    from PIL import Image, ImageDraw

    with _LOCK:
        image = Image.new("RGB", (WIDTH, HEIGHT), GROUND)
        canvas = ImageDraw.Draw(image)
        _write(canvas, (MARGIN, 48), preview.board, 34, QUIET, WIDTH - 2 * MARGIN)
        size = next((size for size in (72, 60, 48) if _fits(preview.heading, size)), 40)
        _write(canvas, (MARGIN, 108), preview.heading, size, TEXT, WIDTH - 2 * MARGIN)
        _write(canvas, (MARGIN, 212), preview.says, 40, BAR, WIDTH - 2 * MARGIN)
        _draw_bars(canvas, preview.bars[:MAX_BARS])
        file = io.BytesIO()
        image.save(file, "PNG", compress_level=4)
    return file.getvalue()


@lru_cache(maxsize=16)
def _font(size: int) -> FreeTypeFont:
    from PIL import ImageFont

    font = ImageFont.load_default(size)
    assert isinstance(font, ImageFont.FreeTypeFont)  # Pillow's wheels have FreeType
    return font


def _fits(text: str, size: int) -> bool:
    return _font(size).getlength(cut(text, MAX_LETTERS)) <= WIDTH - 2 * MARGIN


def _write(canvas: ImageDraw, at: tuple[float, float], text: str, size: int, colour: str, room: float) -> None:
    """Write a text in one line, cut to `room` pixels."""
    font, plain = _font(size), cut(text, MAX_LETTERS)
    if font.getlength(plain) > room:
        plain = plain[: _longest(len(plain), lambda length: font.getlength(plain[:length] + "…") <= room)] + "…"
    canvas.text(at, plain, colour, font)


def _longest(most: int, fits: Callable[[int], bool]) -> int:
    """The greatest length up to `most` that fits."""
    low = 0
    while low < most:
        middle = (low + most + 1) // 2
        low, most = (middle, most) if fits(middle) else (low, middle - 1)
    return low


def _draw_bars(canvas: ImageDraw, bars: tuple[PreviewBar, ...]) -> None:
    line = min(56.0, (_BOTTOM - _TOP) / max(1, len(bars)))
    size = int(line * 0.58)
    left, right = MARGIN + _NAME_ROOM + 20, WIDTH - MARGIN - 170
    for number, bar in enumerate(bars):
        top = _TOP + number * line
        _write(canvas, (MARGIN, top), bar.name, size, TEXT, _NAME_ROOM)
        middle = top + size * 0.6
        canvas.rounded_rectangle((left, middle - 7, right, middle + 7), 7, CARD)
        end = left + (right - left) * min(100.0, max(0.0, bar.length)) / 100
        if end - left >= 14:
            canvas.rounded_rectangle((left, middle - 7, end, middle + 7), 7, BAR)
        _write(canvas, (right + 24, top), bar.value, size, TEXT, 146)
