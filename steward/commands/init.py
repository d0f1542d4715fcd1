"""`steward init`: the repos and webhooks that a board needs, made once however often it is called."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from hub.client import Hub
    from hub.records import Repo
    from leaderboard.boards import Board


def register(app: typer.Typer) -> None:
    """Add the command to `steward`."""
    app.command("init")(init)


@dataclass(frozen=True)
class Hook:
    """One webhook: one repo, one domain. On a whole organisation it would spend its thousand a day on strangers."""

    repo: Repo
    domain: str


def init(
    url: Annotated[str, typer.Option(help="Where the Hub reaches `steward serve`: https://…/webhooks/hub")],
    apply: Annotated[bool, typer.Option("--apply", help="Do it; without this it is only said.")] = False,
) -> None:
    """Make the repos and webhooks of the board in STEWARD_BOARD that are missing; a dry run unless told to apply."""
    from bot.settings import BotSettings
    from hub.client import Hub
    from steward.commands.board import sentences

    with sentences():
        settings = BotSettings()
        board, secret = settings.read_board(), settings.secrets()[0]
        with Hub(settings.hf_endpoint, settings.token()) as hub:
            for line in steps(hub, board, url=url, secret=secret, apply=apply):
                print(line)
    if not apply:
        print("Nothing was changed. Run it again with --apply to do this.")


def repos(board: Board) -> list[tuple[Repo, bool]]:
    """The board's repos, and whether each is private when it is made: logs hold what nobody has looked through."""
    from hub.records import Repo

    flags = [(Repo("dataset", board.repos.flags), False)] if board.repos.flags else []
    return [
        (Repo("dataset", board.repos.requests), False),
        (Repo("dataset", board.repos.results), False),
        (Repo("dataset", board.repos.logs), True),
        *flags,
        (Repo(board.repos.community_type, board.repos.community), False),
    ]


def hooks(board: Board) -> list[Hook]:
    """The webhooks: commits and threads of the requests repo, threads of the community."""
    from hub.records import Repo

    requests, community = Repo("dataset", board.repos.requests), Repo(board.repos.community_type, board.repos.community)
    return [Hook(requests, "repo"), Hook(requests, "discussion"), Hook(community, "discussion")]


def steps(hub: Hub, board: Board, *, url: str, secret: str, apply: bool) -> Iterator[str]:
    """What is done, or would be, a line each. Raises HubError where the Hub will not have it."""
    from hub.records import Watched

    for repo, private in repos(board):
        if hub.repo_exists(repo):
            yield f"The {repo.kind} {repo.id} is there."
            continue
        if apply:
            hub.create_repo(repo, private=private)
        yield f"{'Made' if apply else 'Would make'} the {'private ' if private else ''}{repo.kind} {repo.id}."
    present = {(hook.url, hook.watched, hook.domains) for hook in hub.webhooks() if not hook.disabled}
    for hook in hooks(board):
        watched = Watched(hook.repo.kind, hook.repo.id)
        if (url, frozenset({watched}), frozenset({hook.domain})) in present:
            yield f"The webhook for the {hook.domain} events of {hook.repo.id} is there."
            continue
        if apply:
            hub.ensure_webhook(url, [watched], [hook.domain], secret)
        yield f"{'Made' if apply else 'Would make'} a webhook for the {hook.domain} events of {hook.repo.id}."
