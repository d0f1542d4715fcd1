"""`steward tasks`: shows workers whose tasks differ from those of the board's results, and accepts their tasks."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from steward.commands.board import AsJson, BoardFile, in_sentences
from steward.commands.output import ending


def register(app: typer.Typer) -> None:
    """Add the command to `steward`."""
    app.command("tasks")(tasks)


@in_sentences
def tasks(
    board: BoardFile = None,
    accept: Annotated[
        str | None, typer.Option(help="Accept the tasks with this fingerprint: workers that wait with it go on.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Show workers that take no job because their tasks ask or score otherwise than the board's results, and how.

    Exit status 1 if no worker waits with the fingerprint to accept.
    """
    from bot.core.render import printable
    from steward.commands.board import open_board

    with open_board(board) as context:
        alive = {card.name for card in context.workers.alive(now=context.now())}
        known = context.accepted_digests.waiting()
        waiting = [refused for refused in known if refused.worker in alive or refused.attempt]
        if accept is not None and all(refused.fingerprint != accept for refused in waiting):
            raise ending(f"no worker waits with the fingerprint {printable(accept[:100])}.", 1)
        if accept is not None:
            context.accepted_digests.accept(accept)
    if as_json:
        print(json.dumps({"waiting": [refused.model_dump() for refused in waiting], "accepted": accept}))
        return
    if accept is not None:
        print(f"Accepted. Workers that waited go on: {sum(refused.fingerprint == accept for refused in waiting)}.")
        return
    for refused in waiting:
        print(f"{printable(refused.worker)} waits, because its tasks differ from those of the board's results:")
        for difference in refused.differences:
            print(f"  {printable(difference)}")
        print(f"  If new results may differ in this, accept it: steward tasks --accept {refused.fingerprint}")
    if not waiting:
        print("No worker waits: all evaluate the tasks of the board's results.")
