"""`steward watch`: shows the queue live in a terminal."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Annotated

import typer

from steward.commands.board import in_sentences, settings_of

if TYPE_CHECKING:
    from rich.console import RenderableType

    from bot.read_models.lists import QueueReader
    from bot.read_models.models import QueueResponse

SHOWN = 20
"""Maximal waiting requests on a screen."""


def register(app: typer.Typer) -> None:
    """Add the command to `steward`."""
    app.command()(in_sentences(watch))


def watch(
    every: Annotated[float, typer.Option(min=0.5, help="Seconds between two updates.")] = 2.0,
    once: Annotated[bool, typer.Option("--once", help="Show the queue once.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object per update.")] = False,
) -> None:
    """Show running evaluations with their progress, and waiting requests with their estimated start; Ctrl-C stops."""
    from bot.core.reader_context import read_only_context
    from bot.read_models.lists import QueueReader

    settings = settings_of()
    pages = QueueReader(read_only_context(settings, settings.read_board()))
    try:
        _follow(pages, every, once=once, as_json=as_json)
    except KeyboardInterrupt:
        return


def _follow(pages: QueueReader, every: float, *, once: bool, as_json: bool) -> None:
    from redis.exceptions import RedisError
    from rich.console import Console
    from rich.live import Live

    console = Console()
    if once or as_json:
        while True:
            snapshot = pages.queue(limit=SHOWN)
            print(snapshot.model_dump_json(), flush=True) if as_json else console.print(queue_tables(snapshot))
            if once:
                return
            time.sleep(every)
    with Live(console=console, auto_refresh=False, screen=console.is_terminal) as live:
        while True:
            try:
                live.update(queue_tables(pages.queue(limit=SHOWN)), refresh=True)
            except RedisError as error:
                live.update(f"The queue server does not answer ({type(error).__name__}); retrying.", refresh=True)
            time.sleep(every)


def queue_tables(queue: QueueResponse) -> RenderableType:
    """Return the queue as tables, with untrusted texts as plain text."""
    from rich.console import Group
    from rich.table import Table
    from rich.text import Text

    from bot.core.render import printable

    def text(words: str | None) -> Text:
        return Text(printable(words or "(not public)"))

    counts = queue.counts
    running = Table("Running", "For", "Phase", "Done", title_justify="left", expand=True)
    for attempt in queue.running:
        done = (
            f"{attempt.done:,} of {attempt.total:,} ({100 * attempt.done // attempt.total} %)" if attempt.total else ""
        )
        if attempt.replayed:
            done += f", {attempt.replayed:,} of them computed before"
        running.add_row(text(attempt.model), text(attempt.submitter), text(attempt.phase), done)
    waiting = Table("", "Waiting", "For", "Tier", "Starts about", expand=True)
    for request in queue.waiting:
        start = request.start.expected if request.start is not None else ""
        waiting.add_row(str(request.position), text(request.model), text(request.submitter), request.tier, start)
    held = Table("Held back", "Why", expand=True)
    for blocked in queue.held:
        held.add_row(text(blocked.model), text(blocked.words))
    heading = f"{counts.running} running, {counts.waiting} waiting, {counts.held} held back, {counts.workers} workers"
    return Group(Text(heading), running, waiting, *([held] if queue.held else []))
