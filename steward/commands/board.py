"""What commands need to look at one board: its settings, Redis and keys; each that is missing ends in a sentence."""

from __future__ import annotations

import getpass
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, ParamSpec

import typer

from steward.commands.saying import ending
from steward.exit_statuses import AWAY, MISCONFIGURED

if TYPE_CHECKING:
    from bot.core.context import BoardContext
    from bot.core.settings import BotSettings
    from redis_state.keys import Keys
    from redis_state.redis import Redis

P = ParamSpec("P")
AsJson = Annotated[bool, typer.Option("--json", help="One JSON object.")]
BoardFile = Annotated[Path | None, typer.Option("--board", help="Another board file than STEWARD_BOARD.")]


@contextmanager
def sentences() -> Iterator[None]:
    """What an operator can mend ends in a sentence, not in a traceback."""
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
        print(f"steward: {error}", file=sys.stderr)
        raise typer.Exit(MISCONFIGURED) from error
    except ValidationError as error:
        if not error.title.endswith("Settings"):
            raise
        for one in error.errors(include_url=False):
            print(f"steward: the setting {_variable(one['loc'])}: {one['msg']}.", file=sys.stderr)
        raise typer.Exit(MISCONFIGURED) from error


def in_sentences(command: Callable[P, None]) -> Callable[P, None]:
    """`command`, which ends in a sentence also where the Hub or the queue server leaves it alone on the way."""

    @wraps(command)
    def run(*arguments: P.args, **named: P.kwargs) -> None:
        with sentences(), _services():
            command(*arguments, **named)

    return run


@contextmanager
def _services() -> Iterator[None]:
    """For commands alone: a process that is to run on has ways of its own to wait for a service."""
    from redis.exceptions import NoPermissionError, RedisError

    from hub.errors import HubError

    try:
        yield
    except HubError as error:
        raise ending(error, MISCONFIGURED) from error
    except NoPermissionError as error:
        words = "the user in REDIS_URL may not do this. Use that of the sync process."
        raise ending(words, MISCONFIGURED) from error
    except RedisError as error:
        words = f"the queue server does not answer ({type(error).__name__}). Try again."
        raise ending(words, MISCONFIGURED) from error


def worker_token() -> str | None:
    """The workers' token, where it is set on this machine. Raises SettingsError where its file cannot be read."""
    from bot.core.settings import SettingsError
    from workers.settings import WorkerSettings

    settings = WorkerSettings()
    try:
        return settings.token()
    except OSError as error:
        raise SettingsError(f"STEWARD_WORKER_TOKEN_FILE={settings.worker_token_file}: {error}") from error


def operator() -> str:
    """Who gives a command, by their name on this machine. In a container an account may have a number alone."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return "an operator"


def _variable(place: tuple[int | str, ...]) -> str:
    """The variable of a setting that is wrong; some are known by its name, and others by that of the field."""
    name = str(place[0]) if place else "?"
    return name if name.isupper() else f"STEWARD_{name.upper()}"


def settings_of(board: Path | None) -> BotSettings:
    """The settings, with another board file than STEWARD_BOARD where one is given."""
    from bot.core.settings import BotSettings

    return BotSettings() if board is None else BotSettings(board=board)


def open_keys(board: Path | None = None) -> tuple[Redis, Keys]:
    """The Redis and the keys of the board that the settings, or the file `board`, name."""
    from redis_state.keys import Keys
    from redis_state.redis import connect

    with sentences():
        settings = settings_of(board)
        keys = Keys(settings.read_board().name)  # first: what is wrong for good is told before what may pass
        return connect(settings.redis_url), keys


@contextmanager
def open_board(board: Path | None = None) -> Iterator[BoardContext]:
    """The board's desk, as the sync process has it, for one command."""
    from bot.processes.sync_process import open_board_context

    with sentences(), _services():
        context = open_board_context(settings_of(board))
        try:
            yield context
        finally:
            context.probe.close()
            context.hub.close()
            context.redis.close()
