"""Which repos of a board hold threads, and which of them a webhook covers."""

from __future__ import annotations

from bot.core.context import BoardContext
from hub.records import Repo, Webhook


def thread_repos(context: BoardContext) -> tuple[Repo, ...]:
    """The repos in whose threads people speak with the bot."""
    return (context.requests, context.results, context.community)


def watched(context: BoardContext, hook: Webhook) -> list[Repo]:
    """The board's repos that a webhook tells of."""
    seen = {(one.type, one.name.lower()) for one in hook.watched}
    repos = [context.requests, context.results, context.logs, context.community]
    repos += [context.flags_repo] if context.flags_repo is not None else []
    return [repo for repo in repos if any(name in seen for name in _names(repo))]


def _names(repo: Repo) -> list[tuple[str, str]]:
    owner = repo.id.partition("/")[0].lower()
    return [(repo.kind, repo.id.lower()), ("org", owner), ("user", owner)]
