"""Sentences on the pages about what holds a request back, and when it starts."""

from __future__ import annotations

import pytest

from bot.read_models.models import QueueBlockerView
from bot.web.frame import Frame, new_templates


@pytest.mark.parametrize(
    ("held", "words"),
    [
        (QueueBlockerView(kind="hold", reason="No licence.", by="mia"), "On hold by mia: No licence."),
        (QueueBlockerView(kind="pause", what="board"), "The whole board is paused"),
        (QueueBlockerView(kind="pause", what="tier:large", reason="It moves."), "Tier large is paused: It moves."),
        (QueueBlockerView(kind="pause", what="suite:MMLU-Pro", by="mia"), "Suite MMLU-Pro is paused by mia"),
        (
            QueueBlockerView(kind="budget", what="tier"),
            "The GPU-hours of models of its size for 24 hours are used up; it continues automatically",
        ),
        (
            QueueBlockerView(kind="budget", what="submitter"),
            "The GPU-hours of its submitter for 24 hours are used up; it continues automatically",
        ),
        (
            QueueBlockerView(kind="budget", what="request"),
            "Its attempts have used all the GPU-hours of one request; a maintainer can raise the limit",
        ),
    ],
    ids=lambda value: f"{value.kind} {value.what}" if isinstance(value, QueueBlockerView) else "",
)
def test_what_holds_a_request_back_is_told_in_its_own_words(held: QueueBlockerView, words: str) -> None:
    """The sentence names what holds the request back, whose GPU-hours are meant, and whether it continues by itself."""
    macros = Frame("Demo", "https://hub/discussions")._templates.get_template("parts.html").module
    assert " ".join(macros.held(held).split()) == words  # type: ignore[attr-defined]


@pytest.mark.parametrize(("latest", "is_range"), [("13:01:50", False), ("13:02:10", True)])
def test_a_start_within_one_minute_is_no_range(latest: str, is_range: bool) -> None:
    """Pages show one time if the earliest and latest start are in the same minute, and else a range."""
    day = "2026-11-24T"
    start = {"expected": f"{day}13:01:30Z", "earliest": f"{day}13:01:10Z", "latest": f"{day}{latest}Z"}
    template = new_templates().from_string('{% import "parts.html" as parts %}{{ parts.start(start) }}')
    shown = template.render(start=start)
    assert ("between" in shown, "2026-11-24 13:01 UTC" in shown) == (is_range, True)
