"""`steward why` and `steward logs`: show the reason of a request's state, and the log of its last attempt."""

from __future__ import annotations

import json
import sys
import time
from typing import TYPE_CHECKING, Annotated

import typer

from steward.commands.board import AsJson, BoardFile
from steward.commands.status import (
    UNKNOWN,
    What,
    WhichPrecision,
    WhichWeightType,
    find_requests,
    none_known,
    one_request,
    request_lines,
)

if TYPE_CHECKING:
    from bot.core.context import BoardContext
    from redis_state.board.entry import IndexEntry

OPEN = ("PENDING", "RERUN", "PENDING_NEW_EVAL", "RUNNING")
"""Statuses of a request that has not ended."""


def register(app: typer.Typer) -> None:
    """Add the commands to `steward`."""
    app.command()(why)
    app.command()(logs)


def why(
    what: What,
    precision: WhichPrecision = "",
    weight_type: WhichWeightType = "",
    board: BoardFile = None,
    as_json: AsJson = False,
) -> None:
    """Show why a request failed or waits, with the decisive lines of its log. Exit status 1 if there is no request."""
    from bot.core.render import printable
    from bot.read_models import serializers
    from bot.read_models.log_lines import lines_of
    from steward.commands.board import open_board

    with open_board(board) as context:
        entries = find_requests(context, what, precision=precision, weight_type=weight_type)
        requests = [(serializers.request(context, entry, public=False), lines_of(context, entry)) for entry in entries]
    if as_json:
        print(json.dumps({"requests": [{**request.model_dump(), "lines": lines} for request, lines in requests]}))
    else:
        blocks = (
            ["\n".join(request_lines(request)), *(f"  | {printable(line)}" for line in lines)]
            for request, lines in requests
        )
        print("\n\n".join("\n".join(block) for block in blocks) or none_known(what))
    raise typer.Exit(0 if requests else UNKNOWN)


def logs(
    what: What,
    precision: WhichPrecision = "",
    weight_type: WhichWeightType = "",
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Wait until the request has ended.")] = False,
    every: Annotated[float, typer.Option(min=0.2, help="Seconds between two checks.")] = 2.0,
    board: BoardFile = None,
    as_json: AsJson = False,
) -> None:
    """Print the log of a request's last attempt; with -f, show its progress until it ends.

    Progress goes to standard error, the log to standard output. Ctrl-C ends only the waiting. Exit status 1 if there is
    no log.
    """
    from bot.core.render import visible
    from bot.read_models.log_lines import log_of
    from steward.commands.board import open_board

    with open_board(board) as context:
        entry = one_request(context, what, precision=precision, weight_type=weight_type)
        try:
            entry = _wait_for_end(context, entry, every) if follow else entry
        except KeyboardInterrupt:
            raise typer.Exit(130) from None
        log = log_of(context, entry)
    if log is None:
        print("There is no log of its last attempt.", file=sys.stderr)
        raise typer.Exit(UNKNOWN)
    if as_json:
        print(json.dumps({"path": entry.path, "log": log}))
        return
    # A log is untrusted text: control characters that move a terminal's cursor are removed.
    print("\n".join(visible(line.expandtabs()) for line in log.splitlines()))


def _wait_for_end(context: BoardContext, entry: IndexEntry, every: float) -> IndexEntry:
    """Return `entry` once the request has ended; until then, print each change of its progress on standard error."""
    from bot.read_models import serializers

    shown = ""
    while True:
        (now,) = context.index.find([entry.path])
        if now is None:
            return entry
        lines = request_lines(serializers.request(context, now, public=False))
        progress = "\n".join(line for line in lines if line.split()[0] in ("state", "place", "progress"))
        if progress != shown:
            print(progress, file=sys.stderr, flush=True)
            shown = progress
        # The bot decides first, and writes the status into the file with the next commit.
        if now.state == "settled" and now.standing.status not in OPEN:
            return now
        time.sleep(every)
