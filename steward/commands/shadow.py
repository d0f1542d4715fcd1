"""`steward shadow`: lists effects that shadow held back, beside what people then did."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated

import typer

from steward.commands.board import AsJson, in_sentences
from steward.commands.output import cell, ending

if TYPE_CHECKING:
    from bot.setup.shadow_report import ShadowComparison

commands = typer.Typer(help="Effects that the bot would have had with its effects on.", no_args_is_help=True)

SHOWN = 3
"""Actions of people that are shown per effect."""


def register(app: typer.Typer) -> None:
    """Add the commands to `steward`."""
    app.add_typer(commands, name="shadow")


@commands.command("list")
def list_shadow(
    limit: Annotated[int, typer.Option(min=1, max=10_000, help="Maximal number, newest first.")] = 50,
    as_json: AsJson = False,
) -> None:
    """Show each effect that was held back, and what people then did to the same file or thread."""
    from bot.core.mirrors.folder import MirrorDamaged
    from bot.setup.shadow_report import compare
    from steward.commands.board import open_board

    with open_board() as context:
        listed = context.effects.shadow.read(limit=limit)
        try:
            comparisons = compare(context, listed.things)
        except MirrorDamaged as error:
            raise ending(error, 1) from error
    if as_json:
        print(json.dumps({"count": listed.count, "things": [_fields(comparison) for comparison in comparisons]}))
    else:
        _show(comparisons, listed.count)


@commands.command()
@in_sentences
def clear(as_json: AsJson = False) -> None:
    """Empty the list. Effects that are still due are listed again when their sync runs."""
    from redis_state.shadowed_writes import ShadowList
    from steward.commands.board import open_keys

    ShadowList(*open_keys()).clear()
    print(json.dumps({"cleared": True}) if as_json else "The list is empty.")


def _fields(comparison: ShadowComparison) -> dict[str, object]:
    return {
        **comparison.shadowed.model_dump(),
        "then": [vars(action) for action in comparison.then],
        "same": comparison.same,
    }


def _show(comparisons: list[ShadowComparison], count: int) -> None:
    from rich.console import Console
    from rich.table import Table

    from redis_state.clock import iso

    if not comparisons:
        print("No effect was held back.")
        return
    table = Table("When", "Kind", "Where", "Would have", "People then")
    for comparison in comparisons:
        where = comparison.shadowed.path or f"{comparison.shadowed.repo} #{comparison.shadowed.thread}"
        does = (
            f"{comparison.shadowed.does} ({comparison.shadowed.status})"
            if comparison.shadowed.status
            else comparison.shadowed.does
        )
        table.add_row(
            iso(comparison.shadowed.at), comparison.shadowed.effect, cell(where), cell(does), cell(_then(comparison))
        )
    Console().print(table)
    if len(comparisons) < count:
        print(f"{count - len(comparisons):,} older ones are not shown; see --limit.")


def _then(comparison: ShadowComparison) -> str:
    if not comparison.then:
        return "nothing yet"
    actions = [f"{action.at} {action.who}: {action.what}" for action in comparison.then[:SHOWN]]
    more = [f"and {len(comparison.then) - SHOWN} more"] if len(comparison.then) > SHOWN else []
    return "\n".join([*(["the same"] if comparison.same else []), *actions, *more])
