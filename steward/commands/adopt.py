"""`steward adopt`: takes over an existing board by writing one record, and nothing else."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated

import typer

from steward.commands.board import AsJson
from steward.commands.output import ending, say

if TYPE_CHECKING:
    from bot.setup.adopting import AdoptionResult

REFUSED = 1


def register(app: typer.Typer) -> None:
    """Add the command to `steward`."""
    app.command()(adopt)


def adopt(
    by: Annotated[str, typer.Option(help="Hub name of the person who decided it; the bot if left out.")] = "",
    again: Annotated[bool, typer.Option(help="Adopt again: everything that exists now counts as old.")] = False,
    as_json: AsJson = False,
) -> None:
    """Take over an existing board: existing requests and threads stay as they are, and Steward handles new ones."""
    from bot.setup.adopting import adopt as take_over
    from hub.errors import HubError
    from leaderboard.adoption import BadRecord
    from steward.commands.board import open_board

    with open_board() as context:
        try:
            result = take_over(context, by=context.hub.user(by) if by else None, again=again)
        except (HubError, BadRecord) as error:
            raise ending(error, REFUSED) from error
        print(_as_json(result)) if as_json else say(_sentences(result))


def _as_json(result: AdoptionResult) -> str:
    return json.dumps({"new": result.is_new, "record": result.record.model_dump(), "statuses": dict(result.statuses)})


def _sentences(result: AdoptionResult) -> str:
    record = result.record
    if not result.is_new:
        return f"The board was already adopted at {record.at} by {record.by.name}. Nothing was written."
    kinds = ", ".join(f"{count:,} {status}" for status, count in result.statuses.most_common(8))
    lines = [
        f"Adopted at {record.at}: {record.files:,} requests ({kinds or 'none'}) stay as they are.",
        *(f"Threads up to #{number} of {repo} stay as they are." for repo, number in record.threads.items()),
        "One commit was made. Check the setup with `steward doctor`, and with `steward shadow list` what the bot",
        "would do, before you switch effects on in the board file.",
    ]
    return "\n".join(lines)
