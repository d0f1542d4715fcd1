"""`steward up`: runs everything that a board needs on one machine: queue server, web server, syncs, and a worker."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Mapping
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from steward.commands.board import DATA, DATA_VARIABLE, URL_FILE

if TYPE_CHECKING:
    from bot.core.settings import BotSettings
    from leaderboard.boards import Board
    from redis_state.stopping import Stop
    from steward.supervisor import SupervisedProcess
    from steward.valkey import Valkey

WEB = (
    "STEWARD_WEBHOOK_SECRET",
    "STEWARD_OLD_WEBHOOK_SECRET",
    "OAUTH_CLIENT_SECRET",
    "STEWARD_OAUTH_CLIENT_SECRET",
)
SYNC = ("STEWARD_BOT_TOKEN", "STEWARD_MODEL_PR_TOKEN", "STEWARD_JOBS_TOKEN")
WORK = ("STEWARD_WORKER_TOKEN",)
RUNS = ("STEWARD_WEBHOOK_SECRET", "STEWARD_OLD_WEBHOOK_SECRET", "STEWARD_WORKER_TOKEN")
"""Further secrets of a sync process on a board with `backends`: it signs attempts' tokens, and gives
Jobs the workers' token."""
PERSONAL_TOKENS = ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN")
"""Tokens of the person at the shell, which no process gets."""

STEWARD = (sys.executable, "-P", "-m", "steward.cli")
"""-P keeps files in the current folder, such as a localhub's data in `hub`, from being imported as modules."""

READY_POLL_SECONDS = 0.5


def register(app: typer.Typer) -> None:
    """Add the command to `steward`."""
    app.command()(up)


def up(
    worker: Annotated[
        bool | None,
        typer.Option(
            help="Also run a worker; by default if STEWARD_WORKER_TOKEN is set, unless it is there for Jobs that take "
            "all of the worker's tiers."
        ),
    ] = None,
    data: Annotated[
        Path, typer.Option(envvar=DATA_VARIABLE, help="Folder of the queue server, if REDIS_URL is not set.")
    ] = Path(DATA),
) -> None:
    """Run all processes on this machine, and restart those that end. Ctrl-C or SIGTERM stops all of them.

    Exit status 0 after a stop, 2 if a setting is missing or wrong, or the port is taken.
    """
    from bot.backends.connecting import build_platforms
    from bot.core.settings import BotSettings
    from bot.web.signin.app import app_of
    from redis_state.stopping import stop_on
    from steward.commands.board import sentences
    from steward.supervisor import Supervisor
    from steward.valkey import locked

    stop = stop_on(signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
    environment, server = dict(os.environ), None
    with ExitStack() as stack:
        with sentences():
            settings, board = BotSettings(), BotSettings().read_board()
            settings.models_token(board), settings.token(), settings.secrets(), app_of(settings)
            build_platforms(settings, board)
            settings.require_free_port()
            if not ({"redis_url", "redis_url_file"} & settings.model_fields_set and settings.redis_url):
                server = stack.enter_context(locked(data / "redis", _say))
                environment["REDIS_URL"] = server.url
                _write_url(data, server.url)
            has_worker = _has_worker(board) if worker is None else worker
        others = f", backends take the tiers {', '.join(board.backends)}" if board.backends else ""
        note = "" if has_worker else f" without a worker: this machine evaluates nothing{others}"
        _say(f"Starting on {settings.host}:{settings.port}{note}. Ctrl-C stops it.")
        threading.Thread(target=_announce, args=(settings, stop), name="announce", daemon=True).start()
        processes = parts(environment, worker=has_worker, backends=bool(board.backends))
        with sentences():
            status = Supervisor(processes, _say, lambda: _keep_server(server, data)).run(stop)
        stop.set()
    raise typer.Exit(status)


def _has_worker(board: Board) -> bool:
    """Whether to run a worker if the operator does not say: not where its token is set only because Jobs need it."""
    from leaderboard.tiers import parse_tiers
    from steward.commands.board import worker_token
    from workers.settings import WorkerSettings

    has_jobs = any(backend.kind == "jobs" for backend in board.backends.values())
    has_own_tiers = any(tier not in board.backends for tier in parse_tiers(WorkerSettings().tiers))
    return worker_token() is not None and (has_own_tiers or not has_jobs)


def _keep_server(server: Valkey | None, data: Path) -> None:
    """Restart the queue server if it has ended, and write its address again if the folder was deleted meanwhile."""
    if server is not None:
        server.revive()
        if not (data / URL_FILE).exists():
            _write_url(data, server.url)


def parts(environment: Mapping[str, str], *, worker: bool, backends: bool = False) -> list[SupervisedProcess]:
    """Return the processes, each with the secrets that it needs. `backends`: whether the board has any."""
    from steward.supervisor import SupervisedProcess

    sync = (*SYNC, *RUNS) if backends else SYNC
    secrets_of = {"serve": WEB, "sync": sync, **({"work": WORK} if worker else {})}
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


def _announce(settings: BotSettings, stop: Stop) -> None:
    """Print the address of the pages once the bot is ready."""
    import httpx2

    everywhere = settings.host in ("0.0.0.0", "::")  # noqa: S104  # nosec B104  # compared, not bound
    address = f"http://{'127.0.0.1' if everywhere else settings.host}:{settings.port}"
    while not stop.wait(READY_POLL_SECONDS):
        with suppress(httpx2.HTTPError):
            if httpx2.get(f"{address}/readyz", timeout=5).status_code == 200:
                _say(f"The leaderboard is ready: {settings.public_url or address}")
                return


def _write_url(data: Path, url: str) -> None:
    """Write a URL with its password to a file in `data` that only this account can read and git ignores."""
    data.mkdir(parents=True, exist_ok=True)
    (data / ".gitignore").write_text("*\n", "utf-8")
    file = data / URL_FILE
    file.unlink(missing_ok=True)
    file.touch(mode=0o600)
    file.write_text(url, "utf-8")


def _say(words: str) -> None:
    from redis_state.logs import write_line

    write_line(f"steward: {words}")
