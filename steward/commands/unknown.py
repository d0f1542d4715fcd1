"""`steward unknown`: evaluations that failed of nobody knows what."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Annotated

import typer

from steward.commands.board import AsJson, BoardFile
from steward.commands.saying import ending


def register(app: typer.Typer) -> None:
    """Add the command to `steward`."""
    app.command("unknown")(unknown)


def unknown(
    board: BoardFile = None,
    limit: Annotated[int, typer.Option(min=1, help="How many to show at most.")] = 50,
    as_json: AsJson = False,
) -> None:
    """List the failed requests whose cause is unknown, with the end of each log: the ones to teach the table about."""
    from bot.core.mirrors.folder import MirrorDamaged
    from bot.core.render import printable, visible
    from bot.read_models.unknown_failures import unknown_deaths
    from hub.errors import HubError
    from leaderboard.failures import UNKNOWN
    from steward.commands.board import open_board

    with open_board(board) as context:
        try:
            found = unknown_deaths(context, limit=limit)
        except (HubError, MirrorDamaged) as error:
            raise ending(error, 1) from error
    if as_json:
        print(json.dumps({"unknown": [asdict(death) for death in found]}))
        return
    for death in found:
        print(f"{printable(death.path)}\n  {printable(death.message)}")
        if death.now != UNKNOWN:
            print(f"  By today's table this is {death.now}.")
        for line in death.lines:
            print(f"  | {visible(line)}")
        if death.log:
            print(f"  {printable(death.log)}")
    print(f"{len(found)} failed of nobody knows what." if found else "Every failure has a cause.")
