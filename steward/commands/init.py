"""`steward init`: creates the board file, repos, Spaces and webhooks of a board; repeating it changes nothing more."""

from __future__ import annotations

import json
import os
import secrets
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from steward.commands.board import DATA, Apply, AsJson
from steward.commands.check import reason_lines
from steward.commands.output import ending
from steward.exit_statuses import MISCONFIGURED

if TYPE_CHECKING:
    from bot.core.settings import BotSettings
    from hub.client import Hub
    from leaderboard.boards import Board
    from leaderboard.reasons import Problem
    from steward.bot_space.hosting import HostedBot
    from steward.new_board import NewBoardOptions
    from steward.reversible import Journal, ReversibleHub

Say = Callable[[str], object]
ENV = "env"
"""The file beside a new board file with the settings of its processes and commands."""
REFUSED = 1
NEXT = "Next: run `steward up`, and check with `steward doctor`."
NEXT_JOB = "Next: start the bot's first Job, as docs/sleeping-board.md says."
DRY = "Nothing was changed. Run the command again with --apply to make these changes."


def register(app: typer.Typer) -> None:
    """Add the command to `steward`."""
    app.command("init")(init)


@dataclass(frozen=True)
class InitOptions:
    """The operator's options. `url` is the address of the webhooks; "" means the bot's Space, or none."""

    url: str
    board: NewBoardOptions
    new_secret: bool
    update_page: bool
    apply: bool


def init(
    url: Annotated[
        str, typer.Option(help="The public URL of `steward serve`: https://…/webhooks/hub. With --space, leave it out.")
    ] = "",
    org: Annotated[
        str, typer.Option(help="For a new board file: the organisation, or account, that owns the repos.")
    ] = "",
    details: Annotated[str, typer.Option(help="Owner of the details datasets; ORG-details if left out.")] = "",
    title: Annotated[str, typer.Option(help="Title of the leaderboard; ORG if left out.")] = "",
    suite: Annotated[str, typer.Option(help="The suite of the leaderboard.")] = "starter",
    maintainer: Annotated[list[str] | None, typer.Option(help="Hub name of a maintainer; can be repeated.")] = None,
    new_secret: Annotated[
        bool, typer.Option("--new-secret", help="Give existing webhooks, and the bot's Space, the present secrets.")
    ] = False,
    space: Annotated[
        bool,
        typer.Option(
            "--space",
            help="Run the bot in a Docker Space, and make it. With --url and without --bot-space, instead bring the "
            "page of the board's static Space up to date, after an upgrade.",
        ),
    ] = False,
    no_webhooks: Annotated[
        bool,
        typer.Option(
            "--no-webhooks",
            help="Make no webhooks, for a board without a server; leave --url out. With --space, bring the page of the "
            "board's static Space up to date.",
        ),
    ] = False,
    bot_space: Annotated[str, typer.Option(help="The bot's Space, ORG/NAME; ORG/bot if left out.")] = "",
    hardware: Annotated[str, typer.Option(help="The hardware of the bot's Space; cpu-basic, which is free.")] = "",
    storage: Annotated[
        str,
        typer.Option(
            help="A private bucket for the queue server's data in the bot's Space, ORG/NAME; small, medium and large "
            "all mean ORG/bot-data."
        ),
    ] = "",
    sleep: Annotated[
        int | None, typer.Option(help="Seconds until paid hardware sleeps without visitors; -1: never.")
    ] = None,
    wheel: Annotated[
        Path | None, typer.Option(help="A wheel of Steward for the bot's Space, instead of the package index.")
    ] = None,
    apply: Apply = False,
    as_json: AsJson = False,
) -> None:
    """Create what a board lacks: board file (effects in shadow), repos with cards, Spaces with settings, webhooks.

    A dry run without --apply. Safe to repeat. Everything is checked first: with any problem, nothing is written, and
    exit status 2. If it fails half-way, it removes what it made. An existing board file stays unchanged and decides
    which repos there are.
    """
    from bot.core.settings import BotSettings
    from steward.bot_space.hosting import HostedBot
    from steward.bot_space.texts import PROBLEMS
    from steward.bot_space.wanted import BotSpaceOptions
    from steward.commands.board import sentences
    from steward.commands.init_checks import find_problems
    from steward.new_board import NewBoardOptions

    lines: list[str] = []
    say = lines.append if as_json else print
    is_hosted = bool(bot_space) or (space and not url and not no_webhooks)
    new_board = NewBoardOptions(org, details or f"{org}-details", title or org, suite, tuple(maintainer or ()))
    with sentences():
        settings = BotSettings()
        asked = BotSpaceOptions(bot_space, url, hardware, storage, sleep, wheel, new_secret)
        hosted = HostedBot(settings, new_board, asked) if is_hosted else None
        problems = list(find_problems(settings, new_board, url, hosted, has_webhooks=not no_webhooks))
        if not is_hosted and (hardware or storage or wheel or sleep is not None):
            problems.append(PROBLEMS["space-options"].problem())
        if problems:
            raise _not_ready(problems)
        _make(settings, InitOptions(url, new_board, new_secret, space, apply), hosted, say)
    if as_json:
        print(json.dumps({"applied": apply, "steps": lines[:-1], "next": lines[-1]}))


def _make(settings: BotSettings, options: InitOptions, hosted: HostedBot | None, say: Say) -> None:
    """Make everything, or list it for a dry run. If it fails half-way, undo the steps that were done."""
    from hub.errors import HubError
    from steward.reversible import ReversibleHub

    with ReversibleHub(settings.hf_endpoint, settings.token()) as hub:
        try:
            _steps(settings, hub, options, hosted, say)
        except (HubError, OSError) as error:
            _undo(hub.journal, str(error))
            raise typer.Exit(REFUSED) from error
        except BaseException as error:  # such as Ctrl-C
            _undo(hub.journal, type(error).__name__)
            raise


def _steps(settings: BotSettings, hub: ReversibleHub, options: InitOptions, hosted: HostedBot | None, say: Say) -> None:
    from bot.intake.webhooks import PATH
    from steward.board_setup import missing_library, no_benchmark, rotated, steps
    from steward.space import write_space

    apply, url = options.apply, options.url
    for line in no_benchmark(hub, _planned_board(settings, options.board)):
        say(line)
    secret = hosted.webhook_secret if hosted else ""
    secret = _webhook_secret(settings, hub.journal, say, apply=apply, value=secret)
    board = _board(settings, hub, options.board, say, apply=apply)
    if hosted is not None:
        for line in hosted.create(hub, apply=apply):
            say(line)
        url = hosted.url(hub, apply=apply)
    for line in steps(hub, board, url=url, secret=secret, apply=apply):
        say(line)
    site = (settings.public_url if hosted is None else "") or url.removesuffix(PATH)
    for line in write_space(hub, board, site=site, update=options.update_page, apply=apply):
        say(line)
    for line in hosted.fill(hub, apply=apply) if hosted else missing_library(board):
        say(line)
    for line in rotated(hub, url=url, secret=secret, apply=apply) if options.new_secret else ():
        say(line)
    say((hosted.next_step(hub) if hosted else NEXT if url else NEXT_JOB) if apply else DRY)


def _undo(journal: Journal, reason: str) -> None:
    """Undo what this run made, and report it on standard error."""
    from bot.core.render import printable
    from steward.bot_space.texts import FAILED, NOT_UNDONE, REMAINS, RUN_AGAIN, UNDONE

    print(f"steward: {printable(FAILED.format(reason=reason))}", file=sys.stderr)
    remains = False
    for what, why in journal.undo():
        remains = remains or bool(why)
        words = NOT_UNDONE.format(what=what, reason=why) if why else UNDONE.format(what=what)
        print(f"  {printable(words)}", file=sys.stderr)
    print(REMAINS if remains else RUN_AGAIN, file=sys.stderr)


def _not_ready(problems: Sequence[Problem]) -> typer.Exit:
    """Print all problems, and return the end of a command that changed nothing."""
    end = ending("nothing was changed. Correct this first:", MISCONFIGURED)
    for problem in problems:
        print("\n".join(reason_lines(problem, "  - ")), file=sys.stderr)
    return end


def _planned_board(settings: BotSettings, options: NewBoardOptions) -> Board:
    """Return the board in its file, or the one that a new file will hold, yet without maintainers."""
    from leaderboard.boards import parse_board

    return settings.read_board() if settings.board.exists() else parse_board(options.board_text([]))


def _board(settings: BotSettings, hub: ReversibleHub, options: NewBoardOptions, say: Say, *, apply: bool) -> Board:
    """Return the board in its file, or write a new file and return its board."""
    from leaderboard.boards import parse_board

    file = settings.board
    if file.exists():
        say(f"The board file {file} exists.")
        return settings.read_board()
    text = options.board_text(maintainer_ids(hub, options))
    if apply:
        _new_file(hub.journal, file, text)
    say(f"{'Wrote' if apply else 'Would write'} the board file {file}, with every effect in shadow.")
    _write_env(file, hub.journal, say, apply=apply)
    return parse_board(text)


def maintainer_ids(hub: Hub, options: NewBoardOptions) -> list[str]:
    """Return the ids of the maintainers of a new board file."""
    return [hub.user(name).id for name in options.maintainers]


def _new_file(journal: Journal, file: Path, text: str, mode: int = 0o666) -> None:
    """Write a file that did not exist, and note it and its new folders in the journal."""
    for folder in reversed([parent for parent in file.parents if not parent.exists()]):
        journal.note_folder(folder)
        folder.mkdir()
    journal.note_file(file)
    file.touch(mode=mode)
    file.write_text(text, "utf-8")


def _write_env(board_file: Path, journal: Journal, say: Say, *, apply: bool) -> None:
    """Write this terminal's settings to a file for other terminals, unless that file exists."""
    from steward.new_board import env_text

    file = board_file.parent / ENV
    if file.exists():
        return
    if apply:
        _new_file(journal, file, env_text(os.environ, board_file, DATA))
    path = file if file.is_absolute() else f"./{file}"  # without a slash, shells search their PATH
    say(f"{'Wrote' if apply else 'Would write'} the settings to {file}: `source {path}` in each new terminal.")


def _webhook_secret(settings: BotSettings, journal: Journal, say: Say, *, apply: bool, value: str) -> str:
    """Return the webhook secret; write it, `value` or a new one, if its file is configured but missing.

    "" without a setting for it, which the checks allow where no webhooks are made.
    """
    file = settings.webhook_secret_file
    if settings.webhook_secret is None and file is None:
        return ""
    if settings.webhook_secret is None and file is not None and not file.exists():
        say(f"{'Generated' if apply else 'Would generate'} the webhook secret in {file}.")
        secret = value or secrets.token_urlsafe(32)
        if apply:
            _new_file(journal, file, secret, mode=0o600)
            ignore = file.parent / ".gitignore"
            if file.parent.resolve() not in (Path.cwd(), settings.board.parent.resolve()) and not ignore.exists():
                _new_file(journal, ignore, "*\n")
        return secret
    return settings.secrets()[0]
