"""`steward parked`: lists syncs that failed too often, and wakes them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated

import typer

from steward.commands.board import AsJson, in_sentences
from steward.commands.output import cell, ending, say

if TYPE_CHECKING:
    from redis_state.parking import ParkedSyncs

commands = typer.Typer(help="Parked syncs, which failed too often and no longer run.", no_args_is_help=True)


def register(app: typer.Typer) -> None:
    """Add the commands to `steward`."""
    app.add_typer(commands, name="parked")


@commands.command("list")
@in_sentences
def list_parked(as_json: AsJson = False) -> None:
    """Show the parked syncs, with time and reason."""
    from rich.console import Console
    from rich.table import Table

    from redis_state.clock import iso

    syncs = _parking().all()
    if as_json:
        print(json.dumps({"parked": [parked.model_dump() for parked in syncs]}))
        return
    if not syncs:
        print("No sync is parked.")
        return
    table = Table("Key", "Since", "Tries", "Why")
    for parked in syncs:
        table.add_row(cell(parked.key), iso(parked.since), str(parked.tries), cell(parked.error))
    Console().print(table)


@commands.command()
@in_sentences
def wake(
    keys: Annotated[list[str] | None, typer.Argument(help="Keys as `steward parked list` shows them.")] = None,
    everything: Annotated[bool, typer.Option("--all", help="Wake all of them.")] = False,
    as_json: AsJson = False,
) -> None:
    """Run parked syncs again. Exit status 1 if one of the keys is not parked."""
    from redis_state.clock import now

    parking = _parking()
    chosen = [parked.key for parked in parking.all()] if everything else keys or []
    if not chosen and not everything:
        raise ending("name the keys to wake, or use --all.", 2)
    missing = [key for key in chosen if not parking.wake(key, now=now())]
    woken = [key for key in chosen if key not in missing]
    if as_json:
        print(json.dumps({"woken": woken, "missing": missing}))
    else:
        say("\n".join([*(f"{key} is not parked." for key in missing), f"Woken: {len(woken)}."]))
    raise typer.Exit(1 if missing else 0)


def _parking() -> ParkedSyncs:
    from redis_state.parking import ParkedSyncs
    from steward.commands.board import open_keys

    return ParkedSyncs(*open_keys())
