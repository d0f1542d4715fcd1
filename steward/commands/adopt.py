"""`steward adopt`: take over a living board by writing one record, and nothing else."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated

import typer

from steward.commands.board import AsJson
from steward.commands.saying import ending, say

if TYPE_CHECKING:
    from bot.setup.adopting import AdoptionResult

REFUSED = 1


def register(app: typer.Typer) -> None:
    """Add the command to `steward`."""
    app.command()(adopt)


def adopt(
    by: Annotated[str, typer.Option(help="Name on the Hub of whoever decided it; the bot itself if left out.")] = "",
    again: Annotated[bool, typer.Option(help="Take all that is there by now for old, also what came since.")] = False,
    as_json: AsJson = False,
) -> None:
    """Take over a living board: what is there stays as it is, what comes from now on is in Steward's hands."""
    from bot.setup.adopting import adopt as take_over
    from hub.errors import HubError
    from leaderboard.adoption import BadRecord
    from steward.commands.board import open_board

    with open_board() as context:
        try:
            found = take_over(context, by=context.hub.user(by) if by else None, again=again)
        except (HubError, BadRecord) as error:
            raise ending(error, REFUSED) from error
        print(_as_json(found)) if as_json else say(_sentences(found))


def _as_json(found: AdoptionResult) -> str:
    return json.dumps({"new": found.is_new, "record": found.record.model_dump(), "statuses": dict(found.statuses)})


def _sentences(found: AdoptionResult) -> str:
    record = found.record
    if not found.is_new:
        return f"The board was adopted at {record.at} by {record.by.name} already. Nothing was written."
    kinds = ", ".join(f"{count:,} {status}" for status, count in found.statuses.most_common(8))
    lines = [
        f"Adopted at {record.at}: {record.files:,} requests ({kinds or 'none'}) are left as they are.",
        *(f"Threads up to #{number} of {repo} are left as they are." for repo, number in record.threads.items()),
        "One commit was made. Look with `steward doctor` whether all is in place, and at `steward shadow list`",
        "for what the bot would do, before you switch effects on in the board file.",
    ]
    return "\n".join(lines)
