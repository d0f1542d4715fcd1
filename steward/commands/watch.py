"""`steward watch`: the queue as it moves, in a terminal."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Annotated

import typer

from steward.commands.board import in_sentences

if TYPE_CHECKING:
    from rich.console import RenderableType

    from bot.read_models.lists import QueueReader
    from bot.read_models.models import QueueResponse

SHOWN = 20
"""Requests that wait, at most: what fits a screen."""


def register(app: typer.Typer) -> None:
    """Add the command to `steward`."""
    app.command()(in_sentences(watch))


def watch(
    every: Annotated[float, typer.Option(min=0.5, help="Seconds between two looks.")] = 2.0,
    once: Annotated[bool, typer.Option("--once", help="Look once, and end.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a look.")] = False,
) -> None:
    """Show who runs, how far, who waits and when they start; Ctrl-C ends it."""
    from bot.core.reader_context import read_only_context
    from bot.core.settings import BotSettings
    from bot.read_models.lists import QueueReader

    settings = BotSettings()
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
            found = pages.queue(limit=SHOWN)
            print(found.model_dump_json(), flush=True) if as_json else console.print(queue_tables(found))
            if once:
                return
            time.sleep(every)
    with Live(console=console, auto_refresh=False, screen=console.is_terminal) as live:
        while True:
            try:
                live.update(queue_tables(pages.queue(limit=SHOWN)), refresh=True)
            except RedisError as error:
                live.update(f"Redis does not answer ({type(error).__name__}); trying again.", refresh=True)
            time.sleep(every)


def queue_tables(queue: QueueResponse) -> RenderableType:
    """The queue as tables. Strangers' words are text, never markup."""
    from rich.console import Group
    from rich.table import Table
    from rich.text import Text

    from bot.core.render import printable

    def text(words: str | None) -> Text:
        return Text(printable(words or "(not public)"))

    counts = queue.counts
    running = Table("Running", "For", "Phase", "Done", title_justify="left", expand=True)
    for one in queue.running:
        done = f"{one.done:,} of {one.total:,} ({100 * one.done // one.total} %)" if one.total else ""
        running.add_row(text(one.model), text(one.submitter), text(one.phase), done)
    waiting = Table("", "Waiting", "For", "Tier", "Starts about", expand=True)
    for turn in queue.waiting:
        start = turn.start.expected if turn.start is not None else ""
        waiting.add_row(str(turn.position), text(turn.model), text(turn.submitter), turn.tier, start)
    held = Table("Held back", "Why", expand=True)
    for back in queue.held:
        held.add_row(text(back.model), text(": ".join(filter(None, (f"{back.kind} {back.what}".strip(), back.reason)))))
    heading = f"{counts.running} run, {counts.waiting} wait, {counts.held} held back, {counts.workers} workers"
    return Group(Text(heading), running, waiting, *([held] if queue.held else []))
