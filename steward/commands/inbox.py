"""`steward inbox`: shows the stored deliveries of the Hub and their results, and replays them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated, Any, TypedDict

import typer

from steward.commands.board import AsJson, in_sentences, settings_of
from steward.commands.output import ending

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bot.intake.inbox_log import InboxLog, StoredDelivery

commands = typer.Typer(help="Deliveries of the Hub, and their results.", no_args_is_help=True)
NOT_THERE, MISUSED = 1, 2
"""Exit statuses: the delivery is not stored; the command names no delivery."""


def register(app: typer.Typer) -> None:
    """Add the commands to `steward`."""
    app.add_typer(commands, name="inbox")


@commands.command("list")
@in_sentences
def list_deliveries(
    limit: Annotated[int, typer.Option(min=1, help="Maximal number, newest first.")] = 20,
    verdict: Annotated[str | None, typer.Option(help="Only deliveries with this verdict.")] = None,
    as_json: AsJson = False,
) -> None:
    """Show the newest deliveries, and the number of deliveries by verdict."""
    from itertools import islice

    inbox = _inbox()
    deliveries = list(islice(inbox.newest(verdict=verdict), limit))
    (number, size), counts = inbox.size(), inbox.counts()
    if as_json:
        print(
            json.dumps({"deliveries": [_line(delivery) for delivery in deliveries], "counts": counts, "kept": number})
        )
        return
    if deliveries:
        _print_table(deliveries)
    else:
        print("No delivery is stored." if verdict is None else f"No delivery with the verdict {verdict!r} is stored.")
    by_verdict = ", ".join(f"{count:,} {word}" for word, count in sorted(counts.items(), key=lambda item: -item[1]))
    print(f"{number:,} stored, {size / 1e6:.1f} MB. Received: {by_verdict or 'none yet'}.")


@commands.command()
@in_sentences
def show(
    delivery: Annotated[str, typer.Argument(help="An id as `steward inbox list` shows it.")],
    as_json: AsJson = False,
) -> None:
    """Show one delivery: its body, its verdict, and the state of the keys that it marked."""
    inbox = _inbox()
    stored = _find(inbox, delivery)
    standings = inbox.key_states(mark.key for mark in stored.marks)
    if as_json:
        body = stored.body.decode("utf-8", "backslashreplace")
        print(json.dumps({**_line(stored), "marks": standings, "body": body}))
        return
    _print_delivery(stored, standings)


@commands.command()
@in_sentences
def replay(
    deliveries: Annotated[list[str] | None, typer.Argument(help="Ids as `steward inbox list` shows them.")] = None,
    verdict: Annotated[str | None, typer.Option(help="All stored deliveries with this verdict.")] = None,
    as_json: AsJson = False,
) -> None:
    """Process deliveries again by the present rules, and mark the keys that they concern."""
    from bot.intake.inbox_log import plain

    inbox = _inbox()
    if not deliveries and verdict is None:
        raise ending("name the deliveries to replay, or their verdict with --verdict.", MISUSED)
    chosen = [_find(inbox, name) for name in deliveries or []]
    if verdict is not None:
        chosen += reversed(list(inbox.newest(verdict=verdict)))
    replayed = _replay(chosen)
    if as_json:
        print(json.dumps({"replayed": replayed}))
        return
    for item in replayed:
        print(f"{plain(item['id'])}: {item['verdict']}{_marked(item['marks'])}")
    print(f"Replayed: {len(replayed)}.")


def _inbox() -> InboxLog:
    from bot.intake.inbox_log import InboxLog
    from steward.commands.board import open_keys

    return InboxLog(*open_keys())


class _Replayed(TypedDict):
    """A delivery that was processed again: its id, its verdict now, and the keys that it marked."""

    id: str
    verdict: str
    marks: list[str]


def _find(inbox: InboxLog, name: str) -> StoredDelivery:
    stored = inbox.find(name)
    if stored is None:
        known = inbox.is_known(name)
        words = f"{name} was received, but its body is no longer stored." if known else f"{name} is not in the inbox."
        raise ending(words, NOT_THERE)
    return stored


def _replay(chosen: Sequence[StoredDelivery]) -> list[_Replayed]:
    """Send each through the inbox as a new delivery; return id, verdict and marks of each."""
    import asyncio
    from dataclasses import replace

    from bot.intake.deliveries import read_delivery
    from bot.intake.inbox import Inbox, connect_inbox
    from bot.intake.inbox_log import replay_of
    from redis_state.clock import now
    from redis_state.keys import Keys

    settings = settings_of()
    board = settings.read_board()
    # A person asks for it: replays do not count for the webhook's daily quota, and mark the bot's own changes too.
    readings = [replace(read_delivery(stored.body, board), quota_source=None, author="") for stored in chosen]

    async def send() -> None:
        redis = connect_inbox(settings.redis_url)
        inbox = Inbox(redis, Keys(board.name))
        for stored, reading in zip(chosen, readings, strict=True):
            await inbox.receive(replay_of(stored, now=now()), reading)
        await redis.aclose()

    asyncio.run(send())
    return [
        {"id": stored.id, "verdict": reading.verdict, "marks": [mark.key for mark in reading.marks]}
        for stored, reading in zip(chosen, readings, strict=True)
    ]


def _line(stored: StoredDelivery) -> dict[str, object]:
    from redis_state.clock import iso

    return {
        "id": stored.id,
        "entry": stored.entry,
        "received": iso(stored.received),
        "verdict": stored.verdict,
        "marks": [mark.key for mark in stored.marks],
        "bytes": len(stored.body),
    }


def _print_table(deliveries: Sequence[StoredDelivery]) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    from bot.intake.inbox_log import plain
    from redis_state.clock import iso

    table = Table("Received", "Delivery", "Verdict", "Marked", "Bytes")
    for stored in deliveries:
        keys = Text(plain(", ".join(mark.key for mark in stored.marks)))
        table.add_row(iso(stored.received), Text(plain(stored.id)), stored.verdict, keys, f"{len(stored.body):,}")
    Console().print(table)


def _print_delivery(stored: StoredDelivery, standings: dict[str, Any]) -> None:
    from bot.intake.deliveries import VERDICTS
    from bot.intake.inbox_log import plain, readable_body
    from redis_state.clock import iso

    print(f"{plain(stored.id)}, received {iso(stored.received)}, {len(stored.body):,} bytes, entry {stored.entry}")
    print(f"{stored.verdict}: {VERDICTS.get(stored.verdict, 'An unknown verdict, of another version of Steward.')}")
    for key, standing in standings.items():
        print(f"  {plain(key)}: {standing}")
    print(readable_body(stored.body))


def _marked(keys: Sequence[str]) -> str:
    from bot.intake.inbox_log import plain

    return f", marked {', '.join(map(plain, keys))}" if keys else ", nothing to mark"
