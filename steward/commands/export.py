"""`steward export eee`: writes the board's evaluations in a format that tools for many leaderboards read."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from steward.commands.board import PYARROW_MISSING, AsJson, BoardFile
from steward.commands.output import ending

commands = typer.Typer(help="Write the board's evaluations in formats of others.", no_args_is_help=True)


def register(app: typer.Typer) -> None:
    """Add the group to `steward`."""
    app.add_typer(commands, name="export")


@commands.command("eee")
def every_eval(
    out: Annotated[Path, typer.Option("--out", help="Folder for the files; it is created.", file_okay=False)],
    board: BoardFile = None,
    samples: Annotated[
        bool, typer.Option("--samples", help="Also the answers that everybody can read; needs the extra `contents`.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Write every evaluation as a file of Every Eval Ever 0.3.0: the same evaluations always give the same files."""
    from bot.core.mirrors.contents_table import can_write
    from bot.core.mirrors.folder import MirrorDamaged
    from bot.core.render import printable
    from bot.results.every_eval_export import export
    from hub.errors import HubError
    from steward.commands.board import open_board

    if samples and not can_write():
        raise ending(PYARROW_MISSING, 2)
    with open_board(board) as context:
        try:
            report = export(context, out, with_samples=samples)
        except (HubError, MirrorDamaged, OSError) as error:
            raise ending(error, 1) from error
    if as_json:
        print(json.dumps(asdict(report)))
        return
    for path, why in report.left_out.items():
        print(f"Left out: {printable(path)}: {why}.")
    print(f"Wrote {report.evaluations} evaluations and {report.samples} answers below {out / 'data'}.")
