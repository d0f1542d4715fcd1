"""Access of commands to a board: settings, Redis and keys. Errors that an operator can correct end in a sentence."""

from __future__ import annotations

import getpass
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, ParamSpec

import typer

from steward.commands.output import ending
from steward.exit_statuses import AWAY, MISCONFIGURED

if TYPE_CHECKING:
    from bot.core.context import BoardContext
    from bot.core.settings import BotSettings
    from redis_state.keys import Keys
    from redis_state.redis import Redis

P = ParamSpec("P")
DATA_VARIABLE, DATA = "STEWARD_DATA", "steward-data"
"""The folder of the queue server that `steward up` starts: the variable that names it, and its default."""
URL_FILE = "redis-url"
"""The file in the folder of the queue server with its URL."""
PYARROW_MISSING = (
    "Answers are in Parquet files, and pyarrow is not installed: pip install 'steward-leaderboard[contents]'."
)
AsJson = Annotated[bool, typer.Option("--json", help="One JSON object.")]
Apply = Annotated[bool, typer.Option("--apply", help="Make the changes; by default they are only listed.")]
BoardFile = Annotated[Path | None, typer.Option("--board", help="A board file to use instead of STEWARD_BOARD.")]


@contextmanager
def sentences() -> Iterator[None]:
    """Turn errors that an operator can correct into a sentence and an exit status, without a traceback."""
    from pydantic import ValidationError

    from bot.core.settings import SettingsError
    from leaderboard.boards import BadBoard
    from leaderboard.suites import BadSuite
    from redis_state.errors import RedisAway, RedisStateError
    from steward.valkey import ValkeyMissing

    try:
        yield
    except RedisAway as error:
        print(f"steward: {error}", file=sys.stderr)
        raise typer.Exit(AWAY) from error
    except (SettingsError, BadBoard, BadSuite, RedisStateError, ValkeyMissing) as error:
        from bot.core.render import visible

        print("\n".join(map(visible, f"steward: {error}".splitlines())), file=sys.stderr)
        raise typer.Exit(MISCONFIGURED) from error
    except ValidationError as error:
        if not error.title.endswith("Settings"):
            raise
        for item in error.errors(include_url=False):
            print(f"steward: the setting {_variable(item['loc'])}: {item['msg']}.", file=sys.stderr)
        raise typer.Exit(MISCONFIGURED) from error


def in_sentences(command: Callable[P, None]) -> Callable[P, None]:
    """Return `command` with errors of settings, the Hub and the queue server turned into sentences."""

    @wraps(command)
    def run(*arguments: P.args, **named: P.kwargs) -> None:
        with sentences(), _services():
            command(*arguments, **named)

    return run


@contextmanager
def _services() -> Iterator[None]:
    """Turn errors of services into sentences, for commands only: long-running processes wait and retry."""
    from redis.exceptions import NoPermissionError, RedisError

    from hub.errors import HubError

    try:
        yield
    except HubError as error:
        raise ending(error, MISCONFIGURED) from error
    except NoPermissionError as error:
        words = "the user in REDIS_URL has no permission for this. Use the user of the sync process."
        raise ending(words, MISCONFIGURED) from error
    except RedisError as error:
        words = f"the queue server does not answer ({type(error).__name__}). Try again."
        raise ending(words, MISCONFIGURED) from error


def worker_token() -> str | None:
    """Return the workers' token if it is set on this machine. Raises SettingsError if its file is unreadable."""
    from bot.core.settings import SettingsError
    from workers.settings import WorkerSettings

    settings = WorkerSettings()
    try:
        return settings.token()
    except OSError as error:
        raise SettingsError(f"STEWARD_WORKER_TOKEN_FILE={settings.worker_token_file}: {error}") from error


def operator() -> str:
    """Return the name of the operator on this machine; an account in a container may have no name."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return "an operator"


def _variable(place: tuple[int | str, ...]) -> str:
    """Return the environment variable of an invalid setting, from its name or from the name of its field."""
    name = str(place[0]) if place else "?"
    return name if name.isupper() else f"STEWARD_{name.upper()}"


def settings_of(board: Path | None = None) -> BotSettings:
    """Return the settings, with `board` instead of STEWARD_BOARD if given.

    If they name no queue server, use that of `steward up`: its folder is STEWARD_DATA, or `steward-data` here.
    """
    from bot.core.settings import BotSettings
    from redis_state.settings import read_secret

    settings = BotSettings() if board is None else BotSettings(board=board)
    own = Path(os.environ.get(DATA_VARIABLE, DATA)) / URL_FILE
    if not {"redis_url", "redis_url_file"} & settings.model_fields_set and own.exists():
        settings.redis_url = read_secret(str(own), own)
    return settings


def model_named(text: str, endpoint: str) -> str:
    """Return the id of the model that `text` names, by id or by the address of a page; other text unchanged."""
    from bot.core.commands.registry import model_in

    return model_in(text, endpoint) or text


def open_keys(board: Path | None = None) -> tuple[Redis, Keys]:
    """Return the Redis and the keys of the board in `board` or in the settings."""
    from redis_state.keys import Keys
    from redis_state.redis import connect

    with sentences():
        settings = settings_of(board)
        keys = Keys(settings.read_board().name)  # first: report permanent errors before transient ones
        return connect(settings.redis_url), keys


@contextmanager
def open_board(board: Path | None = None) -> Iterator[BoardContext]:
    """Open the board's context, as the sync process has it, for one command."""
    from bot.processes.sync_process import open_board_context

    with sentences(), _services():
        context = open_board_context(settings_of(board))
        try:
            yield context
        finally:
            context.probe.close()
            context.hub.close()
            context.redis.close()
