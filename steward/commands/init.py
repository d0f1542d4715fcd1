"""`steward init`: board file, repos and webhooks that a board needs, made once however often it is called."""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import typer

from steward.commands.board import AsJson
from steward.commands.saying import ending

if TYPE_CHECKING:
    from bot.core.settings import BotSettings
    from hub.client import Hub
    from hub.records import Repo
    from leaderboard.boards import Board

Say = Callable[[str], object]
CARD = "README.md"
REFUSED = 1
NEXT = "Next: `steward up`, and `steward doctor` beside it."
DRY = "Nothing was changed. Run it again with --apply to do this."


def register(app: typer.Typer) -> None:
    """Add the command to `steward`."""
    app.command("init")(init)


@dataclass(frozen=True)
class WebhookPlan:
    """One webhook: one repo, one domain. On a whole organisation it would spend its thousand a day on strangers."""

    repo: Repo
    domain: str


def init(
    url: Annotated[str, typer.Option(help="Where the Hub reaches `steward serve`: https://…/webhooks/hub")],
    org: Annotated[
        str, typer.Option(help="For a new board file: the organisation, or account, that owns the repos.")
    ] = "",
    details: Annotated[str, typer.Option(help="Whose datasets hold the details; ORG-details if left out.")] = "",
    title: Annotated[str, typer.Option(help="What people call the leaderboard; ORG if left out.")] = "",
    suite: Annotated[str, typer.Option(help="What is evaluated.")] = "starter",
    maintainer: Annotated[
        list[str] | None, typer.Option(help="Name on the Hub of a maintainer; several times.")
    ] = None,
    new_secret: Annotated[
        bool, typer.Option("--new-secret", help="Give the webhooks that are there the secret as it is now.")
    ] = False,
    apply: Annotated[bool, typer.Option("--apply", help="Do it; without this it is only said.")] = False,
    as_json: AsJson = False,
) -> None:
    """Make what a board lacks: board file (effects in shadow), repos with cards, webhooks. Twice changes nothing more.

    A dry run unless told to apply. A board file that is there is left as it is, and says which repos there should be.
    """
    from bot.core.settings import BotSettings
    from hub.client import Hub
    from hub.errors import HubError
    from steward.commands.board import sentences

    told: list[str] = []
    say = told.append if as_json else print
    with sentences():
        settings = BotSettings()
        secret = _webhook_secret(settings, say, apply=apply)
        with Hub(settings.hf_endpoint, settings.token()) as hub:
            try:
                wanted = NewBoardOptions(org, details or f"{org}-details", title or org, suite, tuple(maintainer or ()))
                board = _board(settings, hub, wanted, say, apply=apply)
                for line in steps(hub, board, url=url, secret=secret, apply=apply):
                    say(line)
                for line in rotated(hub, url=url, secret=secret, apply=apply) if new_secret else ():
                    say(line)
            except HubError as error:
                raise ending(error, REFUSED) from error
    say(NEXT if apply else DRY)
    if as_json:
        print(json.dumps({"applied": apply, "steps": told[:-1], "next": told[-1]}))


@dataclass(frozen=True)
class NewBoardOptions:
    """A board that has no file yet, in its operator's words."""

    org: str
    details: str
    title: str
    suite: str
    maintainers: tuple[str, ...]


def _board(settings: BotSettings, hub: Hub, wanted: NewBoardOptions, say: Say, *, apply: bool) -> Board:
    """The board in its file; where there is none, the one that is written there."""
    from bot.core.settings import SettingsError
    from leaderboard.boards import parse_board
    from steward.newboard import board_text

    file = settings.board
    if file.exists():
        say(f"The board file {file} is there.")
        return settings.read_board()
    if not wanted.org:
        raise SettingsError(
            f"There is no board file at STEWARD_BOARD={file}. Write it, or say --org to have it written."
        )
    ids = [hub.user(name).id for name in wanted.maintainers]
    text = board_text(org=wanted.org, details=wanted.details, title=wanted.title, suite=wanted.suite, maintainers=ids)
    if apply:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, "utf-8")
    say(f"{'Wrote' if apply else 'Would write'} the board file {file}, with every effect in shadow.")
    return parse_board(text)


def _webhook_secret(settings: BotSettings, say: Say, *, apply: bool) -> str:
    """The webhook's secret; made up, where its file is named and not there yet."""
    file = settings.webhook_secret_file
    if settings.webhook_secret is None and file is not None and not file.exists():
        say(f"{'Made up' if apply else 'Would make up'} the webhook's secret, in {file}.")
        made = secrets.token_urlsafe(32)
        if apply:
            file.parent.mkdir(parents=True, exist_ok=True)
            file.touch(mode=0o600)
            file.write_text(made, "utf-8")
        return made
    return settings.secrets()[0]


def repos(board: Board) -> list[tuple[Repo, bool]]:
    """The board's repos, and whether each is private when it is made: logs hold what nobody has looked through."""
    from hub.records import Repo

    kept = [one for one in (board.repos.flags, board.repos.contents) if one]
    return [
        (Repo("dataset", board.repos.requests), False),
        (Repo("dataset", board.repos.results), False),
        (Repo("dataset", board.repos.logs), True),
        *((Repo("dataset", one), False) for one in kept),
        (Repo(board.repos.community_type, board.repos.community), False),
    ]


def hooks(board: Board) -> list[WebhookPlan]:
    """The webhooks: commits of the requests and flags repos, and threads of all repos in which people write."""
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
    """What is done, or would be, a line each. Raises HubError where the Hub will not have it."""
    from hub.records import WatchedItem

    for repo, private in repos(board):
        yield _repo(hub, board, repo, private=private, apply=apply)
    present = {(hook.url, hook.watched, hook.domains) for hook in hub.webhooks() if not hook.disabled}
    for hook in hooks(board):
        watched = WatchedItem(hook.repo.kind, hook.repo.id)
        if (url, frozenset({watched}), frozenset({hook.domain})) in present:
            yield f"The webhook for the {hook.domain} events of {hook.repo.id} is there."
            continue
        if apply:
            hub.ensure_webhook(url, [watched], [hook.domain], secret)
        yield f"{'Made' if apply else 'Would make'} a webhook for the {hook.domain} events of {hook.repo.id}."


def rotated(hub: Hub, *, url: str, secret: str, apply: bool) -> Iterator[str]:
    """Every webhook of our account that leads to `url` gets `secret`, a line each. The Hub shows none."""
    for hook in hub.webhooks():
        if hook.url == url:
            if apply:
                hub.rotate_webhook(hook, secret)
            named = ", ".join(sorted(one.name for one in hook.watched))
            yield f"{'Gave' if apply else 'Would give'} the webhook of {named} the secret as it is now."


def _repo(hub: Hub, board: Board, repo: Repo, *, private: bool, apply: bool) -> str:
    """One repo and its card. A repo that holds anything is left alone; an empty one may be left from a first try."""
    from hub.records import WriteFile
    from steward.newboard import card

    there = hub.repo_exists(repo)
    if there and {entry.path for entry in hub.list_files(repo)} - {".gitattributes"}:
        return f"The {repo.kind} {repo.id} is there."
    if apply:
        if not there:
            hub.create_repo(repo, private=private)
        if hub.find_file(repo, CARD) is None:  # the Hub itself may put one into a new Space
            hub.commit(repo, [WriteFile(CARD, card(board, repo.id))], "Say what this is", regular=[CARD])
    if there:
        return f"{'Wrote' if apply else 'Would write'} the card of the {repo.kind} {repo.id}, which is empty."
    return f"{'Made' if apply else 'Would make'} the {'private ' if private else ''}{repo.kind} {repo.id}, with a card."
