"""Pages show the bot's answers without their hidden markers."""

from __future__ import annotations

import re
import time

import pytest

from bot.web.frame import markdown, without_hidden

TEXTS = [
    "", "a", "a<!-- b\n -->c", "<!--a--><!--b-->", "<!-- <!-- -->", "-->", "<!-->", "<!--->", "a --> b <!-- c",
    "a<!-- b --> c <!-- d",
]  # fmt: skip


@pytest.mark.parametrize("text", TEXTS)
def test_whole_markers_are_removed(text: str) -> None:
    """Complete HTML comments are removed; an unclosed or unopened one stays."""
    assert without_hidden(text) == re.sub(r"<!--.*?-->", "", text, flags=re.DOTALL)


def test_many_unclosed_markers_take_linear_time() -> None:
    """Many unclosed comments are handled in linear time; they used to take quadratic time."""
    text, began = "<!-- a -->" + "<!--" * 20_000, time.process_time()
    assert without_hidden(text) == "<!--" * 20_000
    assert time.process_time() - began < 1


def test_an_answer_has_no_marker() -> None:
    """An answer is shown as HTML without its hidden marker."""
    assert markdown("**done**<!-- steward:1 board reply 7 -->") == "<p><strong>done</strong></p>\n"
