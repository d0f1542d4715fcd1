"""`steward doctor`: checks the installation, and says how to correct each problem."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated

import typer

from steward.commands.board import AsJson
from steward.commands.output import say

if TYPE_CHECKING:
    from collections.abc import Iterator
    from contextlib import AbstractContextManager

    from bot.core.platforms import Platforms
    from bot.setup.doctor.findings import Check
    from hub.client import Hub

UNWELL = 1
MARKS = {"ok": "ok", "warning": "warn", "error": "ERROR"}


def register(app: typer.Typer) -> None:
    """Add the command to `steward`."""
    app.command()(doctor)


def doctor(
    switching_on: Annotated[
        bool, typer.Option("--switching-on", help="Also check whether edits can be switched on now.")
    ] = False,
    consistency: Annotated[
        bool,
        typer.Option(
            "--consistency",
            help="Instead, read every file and report where the board's repos, or the bot's index, disagree.",
        ),
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Check tokens, repos, webhooks, Redis, clocks and other active backends. Exit status 1 if there is an error."""
    from bot.backends.connecting import build_platforms
    from bot.setup.doctor import agreement, examine
    from steward.commands.board import open_board, settings_of
    from steward.space import space_checks
    from workers.settings import WorkerSettings

    def platforms() -> Platforms | None:
        return build_platforms(settings_of(), context.board)

    with open_board() as context, _worker(context.hub.endpoint) as worker:
        if consistency:
            checks = agreement(context)
        else:
            folder = WorkerSettings().work_dir
            work_dir = folder if folder.exists() else None
            examined = examine(
                context, worker=worker, switching_on=switching_on, platforms=platforms, work_dir=work_dir
            )
            checks = [*examined, *space_checks(context)]
    if as_json:
        print(json.dumps({"checks": [vars(check) for check in checks]}))
    else:
        for check in checks:
            say("\n".join(_lines(check)))
    raise typer.Exit(UNWELL if any(check.state == "error" for check in checks) else 0)


def _lines(check: Check) -> Iterator[str]:
    yield f"{MARKS[check.state]:6} {check.name:15} {check.words}"
    if check.mend:
        yield f"{'':22} → {check.mend}"


def _worker(endpoint: str) -> AbstractContextManager[Hub | None]:
    """Return a Hub client with the workers' token, if that is set."""
    from contextlib import nullcontext

    from hub.client import Hub as HubClient
    from steward.commands.board import sentences, worker_token

    with sentences():
        token = worker_token()
    return HubClient(endpoint, token) if token else nullcontext()
