"""`steward up`: runs everything that a board needs on one machine: queue server, web server, syncs, and a worker."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Mapping
from contextlib import ExitStack
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
"""Tokens of the person at the shell, which no process gets."""

STEWARD = (sys.executable, "-P", "-m", "steward.cli")
"""-P keeps files in the current folder, such as a localhub's data in `hub`, from being imported as modules."""

URL_FILE = "redis-url"
"""The file in the data folder with the URL of its queue server; REDIS_URL_FILE names it for other commands."""


def register(app: typer.Typer) -> None:
    """Add the command to `steward`."""
    app.command()(up)


def up(
    worker: Annotated[
        bool | None, typer.Option(help="Also run a worker; by default if STEWARD_WORKER_TOKEN is set.")
    ] = None,
    data: Annotated[
        Path, typer.Option(envvar="STEWARD_DATA", help="Folder of the queue server, if REDIS_URL is not set.")
    ] = Path("steward-data"),
) -> None:
    """Run all processes on this machine, and restart those that end. Ctrl-C or SIGTERM stops all of them.

    Exit status 0 after a stop, 2 if a setting is missing or wrong.
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
                server = stack.enter_context(locked(data / "redis", _say))
                environment["REDIS_URL"] = server.url
                _keep(data / URL_FILE, server.url)
            wanted = worker_token() is not None if worker is None else worker
        note = "" if wanted else " without a worker: this machine evaluates nothing"
        _say(f"Starting on {settings.host}:{settings.port}{note}. Ctrl-C stops it.")
        mind = server.revive if server is not None else lambda: None
        with sentences():
            status = Supervisor(parts(environment, worker=wanted), _say, mind).run(stop)
    raise typer.Exit(status)


def parts(environment: Mapping[str, str], *, worker: bool) -> list[SupervisedProcess]:
    """Return the processes, each with the secrets that it needs and no others."""
    from steward.supervisor import SupervisedProcess

    secrets_of = {"serve": WEB, "sync": SYNC, **({"work": WORK} if worker else {})}
    secrets = {
        variable
        for names in (WEB, SYNC, WORK, PERSONAL_TOKENS)
        for name in names
        for variable in (name, f"{name}_FILE")
    }
    processes = []
    for name, own_secrets in secrets_of.items():
        hidden = secrets - {variable for word in own_secrets for variable in (word, f"{word}_FILE")}
        visible = {variable: value for variable, value in environment.items() if variable not in hidden}
        processes.append(SupervisedProcess(name, (*STEWARD, name), visible))
    return processes


def _keep(file: Path, url: str) -> None:
    """Write a URL with its password to a file that only this account can read."""
    file.unlink(missing_ok=True)
    file.touch(mode=0o600)
    file.write_text(url, "utf-8")


def _say(words: str) -> None:
    print(f"steward: {words}", file=sys.stderr, flush=True)
