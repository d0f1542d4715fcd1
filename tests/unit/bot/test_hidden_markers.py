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
    """What only looks like a beginning or an end of a marker stays."""
    assert without_hidden(text) == re.sub(r"<!--.*?-->", "", text, flags=re.DOTALL)


def test_many_beginnings_without_an_end_cost_no_more_than_other_text() -> None:
    """For each of them the text was read to its end: one of some hundred kilobytes took minutes."""
    text, began = "<!-- a -->" + "<!--" * 20_000, time.process_time()
    assert without_hidden(text) == "<!--" * 20_000
    assert time.process_time() - began < 1


def test_an_answer_has_no_marker() -> None:
    """The answer itself is shown as HTML."""
    assert markdown("**done**<!-- steward:1 board reply 7 -->") == "<p><strong>done</strong></p>\n"
