"""`steward init`: creates the board file, repos and webhooks of a board; repeating it changes nothing more."""

from __future__ import annotations

import json
import os
import secrets
import sys
from collections.abc import Callable, Iterator, Sequence
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
    from hub.records import Repo
    from leaderboard.boards import Board
    from leaderboard.reasons import Problem
    from steward.newboard import NewBoardOptions

Say = Callable[[str], object]
CARD = "README.md"
ENV = "env"
"""The file beside a new board file with the settings of its processes and commands."""
REFUSED = 1
NEXT = "Next: run `steward up`, and check with `steward doctor`."
DRY = "Nothing was changed. Run the command again with --apply to make these changes."


def register(app: typer.Typer) -> None:
    """Add the command to `steward`."""
    app.command("init")(init)


@dataclass(frozen=True)
class WebhookPlan:
    """One webhook for one repo and one domain; for a whole organisation, other repos would use up its daily quota."""

    repo: Repo
    domain: str


def init(
    url: Annotated[str, typer.Option(help="The public URL of `steward serve`: https://…/webhooks/hub")],
    org: Annotated[
        str, typer.Option(help="For a new board file: the organisation, or account, that owns the repos.")
    ] = "",
    details: Annotated[str, typer.Option(help="Owner of the details datasets; ORG-details if left out.")] = "",
    title: Annotated[str, typer.Option(help="Title of the leaderboard; ORG if left out.")] = "",
    suite: Annotated[str, typer.Option(help="The suite of the leaderboard.")] = "starter",
    maintainer: Annotated[list[str] | None, typer.Option(help="Hub name of a maintainer; can be repeated.")] = None,
    new_secret: Annotated[
        bool, typer.Option("--new-secret", help="Give existing webhooks the present secret.")
    ] = False,
    space: Annotated[
        bool, typer.Option("--space", help="Bring the page of the Space up to date, after an upgrade.")
    ] = False,
    apply: Apply = False,
    as_json: AsJson = False,
) -> None:
    """Create what a board lacks: board file (effects in shadow), repos with cards, the Space's page, webhooks.

    A dry run without --apply. Safe to repeat. Everything is checked first: with any problem, nothing is written, and
    exit status 2. An existing board file stays unchanged and decides which repos there are.
    """
    from bot.core.settings import BotSettings
    from bot.intake.webhooks import PATH
    from hub.client import Hub
    from hub.errors import HubError
    from steward.commands.board import sentences
    from steward.commands.init_checks import find_problems
    from steward.newboard import NewBoardOptions
    from steward.space import write_space

    lines: list[str] = []
    say = lines.append if as_json else print
    options = NewBoardOptions(org, details or f"{org}-details", title or org, suite, tuple(maintainer or ()))
    with sentences():
        settings = BotSettings()
        if problems := list(find_problems(settings, options, url, repos)):
            raise _not_ready(problems)
        secret = _webhook_secret(settings, say, apply=apply)
        with Hub(settings.hf_endpoint, settings.token()) as hub:
            try:
                board = _board(settings, hub, options, say, apply=apply)
                for line in steps(hub, board, url=url, secret=secret, apply=apply):
                    say(line)
                site = settings.public_url or url.removesuffix(PATH)
                for line in write_space(hub, board, site=site, update=space, apply=apply):
                    say(line)
                for line in benchmark(hub, board, apply=apply):
                    say(line)
                for line in missing_library(board):
                    say(line)
                for line in rotated(hub, url=url, secret=secret, apply=apply) if new_secret else ():
                    say(line)
            except HubError as error:
                raise ending(error, REFUSED) from error
    say(NEXT if apply else DRY)
    if as_json:
        print(json.dumps({"applied": apply, "steps": lines[:-1], "next": lines[-1]}))


def _not_ready(problems: Sequence[Problem]) -> typer.Exit:
    """Print all problems, and return the end of a command that changed nothing."""
    end = ending("nothing was changed. Correct this first:", MISCONFIGURED)
    for problem in problems:
        print("\n".join(reason_lines(problem, "  - ")), file=sys.stderr)
    return end


def _board(settings: BotSettings, hub: Hub, options: NewBoardOptions, say: Say, *, apply: bool) -> Board:
    """Return the board in its file, or write a new file and return its board."""
    from leaderboard.boards import parse_board

    file = settings.board
    if file.exists():
        say(f"The board file {file} exists.")
        return settings.read_board()
    text = options.board_text([hub.user(name).id for name in options.maintainers])
    if apply:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, "utf-8")
    say(f"{'Wrote' if apply else 'Would write'} the board file {file}, with every effect in shadow.")
    _write_env(file, say, apply=apply)
    return parse_board(text)


def _write_env(board_file: Path, say: Say, *, apply: bool) -> None:
    """Write the file with the settings of this terminal for others, unless there is one."""
    from steward.newboard import env_text

    file = board_file.parent / ENV
    if file.exists():
        return
    if apply:
        file.write_text(env_text(os.environ, board_file, DATA), "utf-8")
    path = file if file.is_absolute() else f"./{file}"  # without a slash, shells search their PATH
    say(f"{'Wrote' if apply else 'Would write'} the settings to {file}: `source {path}` in each new terminal.")


def _webhook_secret(settings: BotSettings, say: Say, *, apply: bool) -> str:
    """Return the webhook secret; generate it if its file is configured but missing."""
    file = settings.webhook_secret_file
    if settings.webhook_secret is None and file is not None and not file.exists():
        say(f"{'Generated' if apply else 'Would generate'} the webhook secret in {file}.")
        secret = secrets.token_urlsafe(32)
        if apply:
            file.parent.mkdir(parents=True, exist_ok=True)
            file.touch(mode=0o600)
            file.write_text(secret, "utf-8")
            if file.parent.resolve() not in (Path.cwd(), settings.board.parent.resolve()):
                (file.parent / ".gitignore").write_text("*\n", "utf-8")
        return secret
    return settings.secrets()[0]


def repos(board: Board) -> list[tuple[Repo, bool]]:
    """Return the board's repos, and whether each is created private, as that for logs that not everybody may read."""
    from hub.records import Repo

    optional = [repo for repo in (board.repos.flags, board.repos.contents) if repo]
    return [
        (Repo("dataset", board.repos.requests), False),
        (Repo("dataset", board.repos.results), False),
        (Repo("dataset", board.repos.logs), False),
        (Repo("dataset", board.repos.private_logs), True),
        *((Repo("dataset", repo), False) for repo in optional),
        (Repo(board.repos.community_type, board.repos.community), False),
    ]


def hooks(board: Board) -> list[WebhookPlan]:
    """Return the webhooks: commits of the requests and flags repos, and threads of all repos in which people write."""
    from hub.records import Repo

    requests, results = Repo("dataset", board.repos.requests), Repo("dataset", board.repos.results)
    community = Repo(board.repos.community_type, board.repos.community)
    flags = [WebhookPlan(Repo("dataset", board.repos.flags), "repo")] if board.repos.flags else []
    return [
        WebhookPlan(requests, "repo"),
        *flags,
        *(WebhookPlan(repo, "discussion") for repo in dict.fromkeys((requests, results, community))),
    ]


def steps(hub: Hub, board: Board, *, url: str, secret: str, apply: bool) -> Iterator[str]:
    """Create the repos and webhooks, or list them for a dry run; yield a line for each. Raises HubError."""
    from hub.records import Repo, WatchedItem

    logs, private_logs = Repo("dataset", board.repos.logs), Repo("dataset", board.repos.private_logs)
    holds_all = hub.repo_exists(logs) and hub.is_private(logs)  # a board that keeps all logs private
    for repo, private in repos(board):
        if repo == private_logs and holds_all:
            continue
        yield _repo(hub, board, repo, private=private, apply=apply)
    present = {(hook.url, hook.watched, hook.domains) for hook in hub.webhooks() if not hook.disabled}
    for hook in hooks(board):
        watched = WatchedItem(hook.repo.kind, hook.repo.id)
        if (url, frozenset({watched}), frozenset({hook.domain})) in present:
            yield f"The webhook for the {hook.domain} events of {hook.repo.id} exists."
            continue
        if apply:
            hub.ensure_webhook(url, [watched], [hook.domain], secret)
        yield f"{'Created' if apply else 'Would create'} a webhook for the {hook.domain} events of {hook.repo.id}."


def benchmark(hub: Hub, board: Board, *, apply: bool) -> Iterator[str]:
    """Make the board's own question set a benchmark on the Hub, if the suite defines its tasks; yield a line for it."""
    from hub.errors import BadRequest
    from hub.records import Repo, WriteFile
    from leaderboard.model_pages import BENCHMARK_FILE, benchmark_file
    from leaderboard.suites import find_suite

    suite = find_suite(board.suite)
    source = suite.datasets[0].repo
    repo = Repo("dataset", board.questions.get(source, source).partition("@")[0])
    is_own = repo.id.partition("/")[0] == board.repos.requests.partition("/")[0]
    if not (suite.own and is_own and hub.repo_exists(repo)) or hub.find_file(repo, BENCHMARK_FILE) is not None:
        return
    if apply:
        file = WriteFile(BENCHMARK_FILE, benchmark_file(suite))
        try:
            hub.commit(repo, [file], "Describe the tasks", regular=[BENCHMARK_FILE])
        except BadRequest as error:
            yield f"The Hub does not accept {BENCHMARK_FILE} in the dataset {repo.id}: {error}"
            return
    yield f"{'Wrote' if apply else 'Would write'} {BENCHMARK_FILE} in the dataset {repo.id}: its tasks, for the Hub."


def missing_library(board: Board) -> Iterator[str]:
    """Yield what to install here for the board's table of evaluations; the sync process may run elsewhere."""
    from bot.core.mirrors.contents_table import MISSING, can_write

    if board.repos.contents and not can_write():
        yield f"{MISSING} The sync process does not start without it."


def rotated(hub: Hub, *, url: str, secret: str, apply: bool) -> Iterator[str]:
    """Give every webhook of the account for `url` the secret; yield a line for each. The Hub shows no secrets."""
    for hook in hub.webhooks():
        if hook.url == url:
            if apply:
                hub.rotate_webhook(hook, secret)
            watched = ", ".join(sorted(item.name for item in hook.watched))
            yield f"{'Gave' if apply else 'Would give'} the webhook of {watched} the present secret."


def _repo(hub: Hub, board: Board, repo: Repo, *, private: bool, apply: bool) -> str:
    """Create one repo and its card. A repo with files stays unchanged; an empty one may be from an earlier try."""
    from hub.records import WriteFile
    from steward.newboard import card

    exists = hub.repo_exists(repo)
    if exists and any(entry.path != ".gitattributes" for entry in hub.each_file(repo)):
        return f"The {repo.kind} {repo.id} exists."
    if apply:
        if not exists:
            hub.create_repo(repo, private=private)
        if not exists or hub.find_file(repo, CARD) is None:  # the Hub writes one of its own into a new Space
            hub.commit(repo, [WriteFile(CARD, card(board, repo.id))], "Say what this is", regular=[CARD])
    if exists:
        return f"{'Wrote' if apply else 'Would write'} the card of the {repo.kind} {repo.id}, which is empty."
    visibility = "private " if private else ""
    return f"{'Created' if apply else 'Would create'} the {visibility}{repo.kind} {repo.id}, with a card."
