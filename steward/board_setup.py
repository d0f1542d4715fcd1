"""The repos and webhooks of a board: creates what is missing, or lists it for a dry run."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from hub.client import Hub
    from hub.records import Repo
    from leaderboard.boards import Board

CARD = "README.md"
NO_BENCHMARK = (
    "The dataset {repo} gets no {file}: the Hub takes that file with an evaluation framework of its own list only, and "
    "lm-eval, which evaluates the suite {suite}, is not in it. `model_pages` cannot name these tasks: "
    "docs/model-pages.md says which it can."
)


@dataclass(frozen=True)
class WebhookPlan:
    """One webhook for one repo and one domain; on one for a whole organisation, other repos would use up the quota."""

    repo: Repo
    domain: str


def repos(board: Board) -> list[tuple[Repo, bool]]:
    """Return the board's repos, and whether each is created private, which only the repo of private logs is."""
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
    """Create the repos and webhooks, or list them for a dry run; yield a line for each. No webhooks without a `url`.

    Raises HubError.
    """
    from hub.records import Repo, WatchedItem

    logs, private_logs = Repo("dataset", board.repos.logs), Repo("dataset", board.repos.private_logs)
    holds_all = hub.repo_exists(logs) and hub.is_private(logs)  # a board that keeps all logs private
    for repo, private in repos(board):
        if repo == private_logs and holds_all:
            continue
        yield _repo(hub, board, repo, private=private, apply=apply)
    if not url:
        return
    present = {(hook.url, hook.watched, hook.domains) for hook in hub.webhooks() if not hook.disabled}
    for hook in hooks(board):
        watched = WatchedItem(hook.repo.kind, hook.repo.id)
        if (url, frozenset({watched}), frozenset({hook.domain})) in present:
            yield f"The webhook for the {hook.domain} events of {hook.repo.id} exists."
            continue
        if apply:
            hub.ensure_webhook(url, [watched], [hook.domain], secret)
        yield f"{'Created' if apply else 'Would create'} a webhook for the {hook.domain} events of {hook.repo.id}."


def no_benchmark(hub: Hub, board: Board) -> Iterator[str]:
    """Yield a line if the suite defines its tasks and the board's own question set cannot be a benchmark on the Hub."""
    from hub.records import Repo
    from leaderboard.model_pages import BENCHMARK_FILE
    from leaderboard.suites import find_suite

    suite = find_suite(board.suite)
    source = suite.datasets[0].repo
    repo = Repo("dataset", board.questions.get(source, source).partition("@")[0])
    is_own = repo.id.partition("/")[0] == board.repos.requests.partition("/")[0]
    if suite.own and is_own and not (hub.repo_exists(repo) and hub.find_file(repo, BENCHMARK_FILE)):
        yield NO_BENCHMARK.format(repo=repo.id, file=BENCHMARK_FILE, suite=suite.name)


def missing_library(board: Board) -> Iterator[str]:
    """Yield a line about the library that writes the board's table of evaluations, unless it is installed here."""
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
    from steward.new_board import NO_ROWS, card, records

    exists = hub.repo_exists(repo)
    if exists and any(entry.path != ".gitattributes" for entry in hub.each_file(repo)):
        return f"The {repo.kind} {repo.id} exists."
    if apply:
        if not exists:
            hub.create_repo(repo, private=private)
        if not exists or hub.find_file(repo, CARD) is None:  # the Hub writes one of its own into a new Space
            files = [WriteFile(CARD, card(board, repo.id))]
            files += [WriteFile(NO_ROWS, b"")] if records(board, repo.id) else []
            hub.commit(repo, files, "Say what this is", regular=[file.path for file in files])
    if exists:
        return f"{'Wrote' if apply else 'Would write'} the card of the {repo.kind} {repo.id}, which is empty."
    visibility = "private " if private else ""
    return f"{'Created' if apply else 'Would create'} the {visibility}{repo.kind} {repo.id}, with a card."
