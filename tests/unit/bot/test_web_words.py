"""Sentences of the pages that depend on what holds a request back."""

from __future__ import annotations

import pytest

from bot.read_models.models import QueueBlockerView
from bot.web.frame import Frame


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
    ids=lambda one: f"{one.kind} {one.what}" if isinstance(one, QueueBlockerView) else "",
)
def test_what_holds_a_request_back_is_told_in_its_own_words(held: QueueBlockerView, words: str) -> None:
    """Names as they are written, whose GPU-hours are meant, and whether it goes on by itself."""
    macros = Frame("Demo", "https://hub/discussions")._templates.get_template("parts.html").module
    assert " ".join(macros.held(held).split()) == words  # type: ignore[attr-defined]
