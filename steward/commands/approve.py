"""`steward approve`: merges a pull request in the requests repo at the approved commit."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from steward.commands.board import AsJson
from steward.commands.output import ending, say


def register(app: typer.Typer) -> None:
    """Add the command to `steward`."""
    app.command("approve")(approve)


def approve(
    number: Annotated[int, typer.Argument(min=1, help="Number of the pull request in the requests repo.")],
    sha: Annotated[str, typer.Option(help="The commit that its report names, in full or its first 7 characters.")],
    by: Annotated[str, typer.Option(help="The name of the approver in the report.")] = "an operator",
    as_json: AsJson = False,
) -> None:
    """Merge pull request NUMBER if a report of the bot says that it passes every check at this commit.

    Exit status 1 if it was not merged.
    """
    from bot.pulls.approving import decide
    from hub.errors import HubError
    from steward.commands.board import open_board

    with open_board() as context:
        try:
            answer = decide(context, context.requests, number, sha, by)
        except HubError as error:
            raise ending(error, 1) from error
    print(json.dumps({"merged": answer.merged, "message": answer.text})) if as_json else say(answer.text)
    if not answer.merged:
        raise typer.Exit(1)
