"""`steward effects`: shows and changes the bot's effects on this board."""

from __future__ import annotations

import json
import os
import sys
import tempfile
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from leaderboard.options import Effect, EffectMode
from steward.commands.board import AsJson, BoardFile, in_sentences
from steward.commands.output import ending

if TYPE_CHECKING:
    from bot.setup.doctor.findings import Check

commands = typer.Typer(help="What the bot may do on this board: each kind is off, shadow or on.", no_args_is_help=True)
REFUSED = 1
RESTART = "Processes read the board file when they start: restart `steward sync` and `steward schedule` now."


def register(app: typer.Typer) -> None:
    """Add the commands to `steward`."""
    app.add_typer(commands, name="effects")


@commands.command("list")
@in_sentences
def list_effects(
    board: BoardFile = None,
    as_json: AsJson = False,
) -> None:
    """Show the mode of each kind, and the number of its effects that shadow held back."""
    from redis_state.shadowed_writes import ShadowList
    from steward.commands.board import open_keys, settings_of

    modes = settings_of(board).read_board().effects.modes
    shadowed = Counter(thing.effect for thing in ShadowList(*open_keys(board)).read().things)
    rows = [(kind.value, modes[kind].value, shadowed[kind]) for kind in Effect]
    if as_json:
        print(json.dumps({"effects": [{"kind": kind, "mode": mode, "would": count} for kind, mode, count in rows]}))
        return
    _print_table(rows)
    print("`steward shadow list` shows the effects that were held back.")


@commands.command("set")
def set_mode(
    kind: Annotated[Effect, typer.Argument(help="Which kind of effect.")],
    mode: Annotated[EffectMode, typer.Argument(help="Not done, only listed, or done.")],
    board: BoardFile = None,
    anyway: Annotated[bool, typer.Option("--anyway", help="Even if another backend seems to be active.")] = False,
    as_json: AsJson = False,
) -> None:
    """Change the mode of one kind of effect in the board file; running processes need a restart."""
    from leaderboard.boards import BadBoard, set_effect
    from steward.commands.board import sentences, settings_of

    with sentences():
        settings = settings_of(board)
        before = settings.read_board().effects.mode(kind)
    file = settings.board.resolve()  # change the file itself, not a link to it
    if before is mode:
        _print_change(
            f"{kind} is {mode} in {settings.board} already. Nothing was changed.", kind, mode, before, as_json
        )
        return
    if mode is EffectMode.ON and not anyway:
        _refuse_beside_others(board, kind)
    try:
        _replace(file, set_effect(file.read_text("utf-8"), kind, mode))
    except (BadBoard, OSError) as error:
        raise ending(f"{settings.board} was not changed: {error}", REFUSED) from error
    _print_change(f"{kind} is {mode} in {settings.board}; it was {before}.\n{RESTART}", kind, mode, before, as_json)


def _print_change(words: str, kind: Effect, mode: EffectMode, before: EffectMode, as_json: bool) -> None:
    print(json.dumps({"kind": kind, "mode": mode, "before": before}) if as_json else words)


def _refuse_beside_others(board: Path | None, kind: Effect) -> None:
    """End the command if another backend is active, because two backends on one queue undo each other's work."""
    from bot.core.render import printable
    from bot.setup.doctor import against_switching_on
    from steward.commands.board import open_board

    with open_board(board) as context:
        problems: list[Check] = against_switching_on(context)
    if not problems:
        return
    print(f"steward: {kind} was not switched on.", file=sys.stderr)
    for check in problems:
        print(f"  {printable(check.words)}\n  → {printable(check.mend)}", file=sys.stderr)
    print("  → If you are sure that this is safe, use --anyway.", file=sys.stderr)
    raise typer.Exit(REFUSED)


def _replace(file: Path, text: str) -> None:
    """Replace the file atomically, keeping its owner and permissions, even if root changes it."""
    was = file.stat()
    with tempfile.NamedTemporaryFile(
        "w", dir=file.parent, prefix=f".{file.name}.", encoding="utf-8", delete=False
    ) as new:
        fresh = Path(new.name)
        try:
            new.write(text)
            new.flush()
            os.fsync(new.fileno())
            fresh.chmod(was.st_mode & 0o777)
            if os.geteuid() == 0:
                os.chown(fresh, was.st_uid, was.st_gid)
            fresh.replace(file)
        except OSError:
            fresh.unlink(missing_ok=True)
            raise


def _print_table(rows: list[tuple[str, str, int]]) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table("Kind", "Mode", "Held back in shadow")
    for kind, mode, count in rows:
        table.add_row(kind, mode, f"{count:,}" if count else "")
    Console().print(table)
