"""`steward up`: everything that a board needs, on one machine: queue server, web server, syncs, and a worker."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Mapping
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from steward.supervisor import SupervisedProcess

WEB = (
    "STEWARD_WEBHOOK_SECRET",
    "STEWARD_OLD_WEBHOOK_SECRET",
    "OAUTH_CLIENT_SECRET",
    "STEWARD_OAUTH_CLIENT_SECRET",
)
SYNC = ("STEWARD_BOT_TOKEN",)
WORK = ("STEWARD_WORKER_TOKEN",)
PERSONAL_TOKENS = ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN")
"""Tokens of the person at the shell: no process speaks in their name."""

STEWARD = (sys.executable, "-P", "-m", "steward.cli")
"""-P: what lies in the folder where it is started, as the data of a localhub in `hub`, is no module of ours."""

URL_FILE = "redis-url"
"""In the data folder: where its queue server listens. Other commands find it by REDIS_URL_FILE."""


def register(app: typer.Typer) -> None:
    """Add the command to `steward`."""
    app.command()(up)


def up(
    worker: Annotated[
        bool | None, typer.Option(help="Also evaluate here; if left out: where STEWARD_WORKER_TOKEN is set.")
    ] = None,
    data: Annotated[
        Path, typer.Option(envvar="STEWARD_DATA", help="Folder of the queue server, where REDIS_URL names none.")
    ] = Path("steward-data"),
) -> None:
    """Run everything on this machine, and start again what dies. Ctrl-C or SIGTERM ends all of it.

    Exit status 0 when told to stop, 2 where a setting is missing or wrong.
    """
    from bot.core.settings import BotSettings
    from bot.web.signin.app import app_of
    from redis_state.stopping import stop_on
    from steward.commands.board import sentences, worker_token
    from steward.supervisor import Supervisor
    from steward.valkey import locked

    stop = stop_on(signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
    environment, server = dict(os.environ), None
    with ExitStack() as stack:
        with sentences():
            settings = BotSettings()
            settings.read_board(), settings.token(), settings.secrets(), app_of(settings)
            if not ({"redis_url", "redis_url_file"} & settings.model_fields_set and settings.redis_url):
                server = stack.enter_context(locked(data / "redis"))
                environment["REDIS_URL"] = server.url
                _keep(data / URL_FILE, server.url)
            wanted = worker_token() is not None if worker is None else worker
        told = "" if wanted else " without a worker: nothing is evaluated here"
        _say(f"Starting on {settings.host}:{settings.port}{told}. Ctrl-C ends it.")
        mind = partial(server.revive, _say) if server is not None else lambda: None
        with sentences():
            status = Supervisor(parts(environment, worker=wanted), _say, mind).run(stop)
    raise typer.Exit(status)


def parts(environment: Mapping[str, str], *, worker: bool) -> list[SupervisedProcess]:
    """The processes, each with the secrets that it needs and no other."""
    from steward.supervisor import SupervisedProcess

    named = {"serve": WEB, "sync": SYNC, **({"work": WORK} if worker else {})}
    secrets = {
        variable
        for names in (WEB, SYNC, WORK, PERSONAL_TOKENS)
        for name in names
        for variable in (name, f"{name}_FILE")
    }
    found = []
    for name, own in named.items():
        hidden = secrets - {variable for word in own for variable in (word, f"{word}_FILE")}
        kept = {variable: value for variable, value in environment.items() if variable not in hidden}
        found.append(SupervisedProcess(name, (*STEWARD, name), kept))
    return found


def _keep(file: Path, url: str) -> None:
    """Write an address with its password for nobody else to read."""
    file.unlink(missing_ok=True)
    file.touch(mode=0o600)
    file.write_text(url, "utf-8")


def _say(words: str) -> None:
    print(f"steward: {words}", file=sys.stderr, flush=True)
