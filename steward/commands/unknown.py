"""`steward unknown`: lists failures with an unknown cause."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Annotated

import typer

from steward.commands.board import AsJson, BoardFile
from steward.commands.output import ending


def register(app: typer.Typer) -> None:
    """Add the command to `steward`."""
    app.command("unknown")(unknown)


def unknown(
    board: BoardFile = None,
    limit: Annotated[int, typer.Option(min=1, help="Maximal number of failures.")] = 50,
    as_json: AsJson = False,
) -> None:
    """List failed requests with an unknown cause and the end of each log, to extend the table of causes."""
    from bot.core.mirrors.folder import MirrorDamaged
    from bot.core.render import printable, visible
    from bot.read_models.unknown_failures import unknown_deaths
    from hub.errors import HubError
    from leaderboard.failures import UNKNOWN
    from steward.commands.board import open_board

    with open_board(board) as context:
        try:
            failures = unknown_deaths(context, limit=limit)
        except (HubError, MirrorDamaged) as error:
            raise ending(error, 1) from error
    if as_json:
        print(json.dumps({"unknown": [asdict(failure) for failure in failures]}))
        return
    for failure in failures:
        print(f"{printable(failure.path)}\n  {printable(failure.message)}")
        if failure.now != UNKNOWN:
            print(f"  The present table of causes diagnoses {failure.now}.")
        for line in failure.lines:
            print(f"  | {visible(line)}")
        if failure.log:
            print(f"  {printable(failure.log)}")
    print(f"Failures with an unknown cause: {len(failures)}." if failures else "Every failure has a known cause.")
