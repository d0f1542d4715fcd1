"""`steward shadow`: what the bot would have done, beside what people then did."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated

import typer

from steward.commands.board import AsJson, in_sentences
from steward.commands.saying import cell, ending

if TYPE_CHECKING:
    from bot.setup.shadow_report import ShadowComparison

commands = typer.Typer(help="What the bot would have done, were its effects on.", no_args_is_help=True)

SHOWN = 3
"""Deeds of people that are shown for one thing."""


def register(app: typer.Typer) -> None:
    """Add the commands to `steward`."""
    app.add_typer(commands, name="shadow")


@commands.command("list")
def list_shadow(
    limit: Annotated[int, typer.Option(min=1, max=10_000, help="How many, from the newest on.")] = 50,
    as_json: AsJson = False,
) -> None:
    """Show what would have been done, where and when, and what people then did to the same file or thread."""
    from bot.core.mirrors.folder import MirrorDamaged
    from bot.setup.shadow_report import compare
    from steward.commands.board import open_board

    with open_board() as context:
        listed = context.effects.shadow.read(limit=limit)
        try:
            found = compare(context, listed.things)
        except MirrorDamaged as error:
            raise ending(error, 1) from error
    if as_json:
        print(json.dumps({"count": listed.count, "things": [_fields(one) for one in found]}))
    else:
        _show(found, listed.count)


@commands.command()
@in_sentences
def clear(as_json: AsJson = False) -> None:
    """Forget the list. What is still true is listed again when its sync runs."""
    from redis_state.shadowed_writes import ShadowList
    from steward.commands.board import open_keys

    ShadowList(*open_keys()).clear()
    print(json.dumps({"cleared": True}) if as_json else "The list is empty.")


def _fields(one: ShadowComparison) -> dict[str, object]:
    return {**one.shadowed.model_dump(), "then": [vars(deed) for deed in one.then], "same": one.same}


def _show(found: list[ShadowComparison], count: int) -> None:
    from rich.console import Console
    from rich.table import Table

    from redis_state.clock import iso

    if not found:
        print("Nothing was held back.")
        return
    table = Table("When", "Kind", "Where", "Would have", "People then")
    for one in found:
        where = one.shadowed.path or f"{one.shadowed.repo} #{one.shadowed.thread}"
        does = f"{one.shadowed.does} ({one.shadowed.status})" if one.shadowed.status else one.shadowed.does
        table.add_row(iso(one.shadowed.at), one.shadowed.effect, cell(where), cell(does), cell(_then(one)))
    Console().print(table)
    if len(found) < count:
        print(f"{count - len(found):,} older ones are not shown; see --limit.")


def _then(one: ShadowComparison) -> str:
    if not one.then:
        return "nothing yet"
    told = [f"{deed.at} {deed.who}: {deed.what}" for deed in one.then[:SHOWN]]
    more = [f"and {len(one.then) - SHOWN} more"] if len(one.then) > SHOWN else []
    return "\n".join([*(["the same"] if one.same else []), *told, *more])
