"""`steward watch`: the queue in a terminal."""

from __future__ import annotations

import io

from rich.console import Console

from bot.read_models.models import (
    BlockedRequestView,
    QueueCountsView,
    QueueResponse,
    RunningRequestView,
    StartView,
    WaitingRequestView,
)
from steward.commands.watch import queue_tables

START = StartView(earliest="2026-11-24T13:10:00Z", expected="2026-11-24T14:00:00Z", latest="2026-11-24T15:30:00Z")


def test_the_queue_shows_untrusted_text_without_effect_on_the_terminal() -> None:
    """Running, waiting and held requests are shown; markup and control characters in names have no effect."""
    queue = QueueResponse(
        counts=QueueCountsView(waiting=1, held=1, running=1, workers=2),
        running=[
            RunningRequestView(
                path="p",
                model="[red]ada[/red]/\x1b[2Jx",
                submitter="ada",
                tier="small",
                phase="evaluate",
                done=1,
                total=4,
                replayed=1,
            )
        ],
        waiting=[
            WaitingRequestView(path=None, model=None, tier="small", position=1, among=1, workers=2, start=START),
        ],
        held=[
            BlockedRequestView(
                path="h", model="bob/held", tier="large", kind="pause", what="tier:large", reason="Machines are away"
            )
        ],
        next=None,
        next_held=None,
    )
    text = io.StringIO()
    Console(file=text, width=120).print(queue_tables(queue))
    output = text.getvalue()
    for words in (
        "1 running, 1 waiting, 1 held back, 2 workers",
        "[red]ada[/red]",
        "1 of 4 (25 %), 1 of them computed before",
        "(not public)",
        "14:00",
        "away",
    ):
        assert words in output
    assert "\x1b" not in output
