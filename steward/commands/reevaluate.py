"""`steward reevaluate`: the suite has changed; put finished requests back into the queue for newer results."""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import typer

from steward.commands.saying import ending, say

if TYPE_CHECKING:
    from bot.core.context import BoardContext
    from bot.setup.reevaluating import ReevaluationSurvey

REFUSED = 1
SHOWN = 20
"""Requests that are named, where not all are asked for."""


def register(app: typer.Typer) -> None:
    """Add the command to `steward`."""
    app.command()(reevaluate)


@dataclass(frozen=True)
class ReevaluationReport:
    """What was found, and how many were put back; None where nobody asked for that."""

    suite: str
    found: ReevaluationSurvey
    put_back: int | None


def reevaluate(
    yes: Annotated[bool, typer.Option("--yes", help="Do it; else it is only shown what would be done.")] = False,
    model: Annotated[str, typer.Option(help="Only requests of this model: org/model.")] = "",
    limit: Annotated[int | None, typer.Option(min=1, help="How many at most, by path.")] = None,
    adopted: Annotated[
        bool, typer.Option("--adopted", help="Also results from before Steward, whose suite nobody knows.")
    ] = False,
    by: Annotated[str, typer.Option(help="Name on the Hub of whoever decided it; the bot itself if left out.")] = "",
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object, with every path.")] = False,
) -> None:
    """Evaluate anew what has results of another suite than the board's: it says PENDING_NEW_EVAL and waits its turn.

    It comes after everything else that waits. Results stay, and stay shown, until there are newer ones.
    """
    from bot.core.mirrors.folder import MirrorDamaged
    from bot.setup.reevaluating import survey
    from hub.errors import HubError
    from steward.commands.board import open_board

    with open_board() as context:
        try:
            found = survey(context, model=model, old=adopted, limit=limit)
            done = ReevaluationReport(context.suite.name, found, _put_back(context, found, by) if yes else None)
        except (HubError, MirrorDamaged) as error:
            raise ending(error, REFUSED) from error
    print(_as_json(done)) if as_json else say(_sentences(done))
    raise typer.Exit(REFUSED if found.due and done.put_back == 0 else 0)


def _put_back(context: BoardContext, found: ReevaluationSurvey, by: str) -> int:
    from bot.setup.reevaluating import put_back

    if not found.due:
        return 0
    who = context.hub.user(by) if by else context.me()
    return put_back(context, found.due, by=who, command=f"steward {' '.join(sys.argv[1:])}"[:2_000])


def _as_json(done: ReevaluationReport) -> str:
    found = done.found
    return json.dumps(
        {
            "suite": done.suite,
            "digest": found.suite,
            "due": [{"path": one.path, "made_with": one.made_with or None} for one in found.due],
            "current": found.current,
            "tried": found.tried,
            "adopted": found.old,
            "changing": found.changing,
            "unknown": list(found.unknown),
            "put_back": done.put_back,
        }
    )


def _sentences(done: ReevaluationReport) -> str:
    found = done.found
    lines = [f"The board's suite is {done.suite}, digest {found.suite[:12]}."]
    lines += [f"  {one.path} ({_made_with(one.made_with)})" for one in found.due[:SHOWN]]
    if len(found.due) > SHOWN:
        lines.append(f"  … and {len(found.due) - SHOWN:,} more; --json names all")
    lines.append(f"{len(found.due):,} finished requests are to be evaluated anew.")
    lines += [f"{count:,} {words}" for count, words in _others(found) if count]
    lines.append(_what_was_done(done))
    return "\n".join(lines)


def _made_with(digest: str) -> str:
    return f"made with {digest[:12]}" if digest else "from before Steward"


def _others(found: ReevaluationSurvey) -> tuple[tuple[int, str], ...]:
    return (
        (found.current, "have results of this suite."),
        (
            found.tried,
            "were put back for this suite once, failed, and have their earlier result again: /relaunch them.",
        ),
        (found.old, "have results from before Steward, of a suite that nobody knows: --adopted takes them too."),
        (found.changing, "are just being changed: look again in a minute."),
        (len(found.unknown), "name results that are gone, or cannot be read: look with `steward doctor`."),
    )


def _what_was_done(done: ReevaluationReport) -> str:
    if not done.found.due:
        return "Nothing is to be done."
    if done.put_back is None:
        return "Nothing was changed. With --yes they wait again, after everything else; their results stay meanwhile."
    if done.put_back == 0:
        return "Nothing was changed: this board holds edits or relaunches back. `steward effects list` says which."
    return f"{done.put_back:,} of them wait again within minutes, after everything else; their results stay meanwhile."
