"""Answers to `/search`: text from users adds no markup, and each misread term is named."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.core.commands.answers import say
from bot.results.searching import SearchResult
from leaderboard.search import Query, parse
from tests.support.units.hostile_values import HOSTILE, kinds


def told(query: str, model: str, near: tuple[str, ...] = (), *, is_found: bool) -> str:
    """The answer to `query` if `model` is found, or only similar names are."""
    hit = SimpleNamespace(average=12.5)
    request = SimpleNamespace(model=model, request_url="http://h/f", precision=model, state="finished")
    lines = [(hit, request)] if is_found else []
    result = SearchResult(Query(), more=3 if is_found else 0, near=near, is_cut=True)
    return say("search", query=query, found=result, lines=lines, scanned=5_000)


@pytest.mark.parametrize("words", HOSTILE)
def test_no_query_and_no_name_can_break_out(words: str) -> None:
    """Hostile queries and names add no markup to the answer."""
    assert kinds(told(words, words, is_found=True)) <= kinds(told("q", "m", is_found=True)) | {"text_special"}
    assert kinds(told(words, "", (words, words), is_found=False)) <= kinds(told("q", "", ("a",), is_found=False))


@given(st.text(max_size=60))
def test_whatever_was_misread_is_told_in_code(words: str) -> None:
    """A misread term is shown in a code span, whatever its text."""
    query = parse(f"Colour: {words}")
    text = say("search", query=words, found=SearchResult(query), lines=[], scanned=5_000)
    allowed = {"paragraph_open", "paragraph_close", "inline", "text", "code_inline", "softbreak"}
    lists = {"bullet_list_open", "bullet_list_close", "list_item_open", "list_item_close"}
    assert kinds(text) <= allowed | lists
