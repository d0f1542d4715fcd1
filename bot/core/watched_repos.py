"""The repos of a board that hold threads, and those that a webhook covers."""

from __future__ import annotations

from bot.core.context import BoardContext
from hub.records import Repo, Webhook


def thread_repos(context: BoardContext) -> tuple[Repo, ...]:
    """The repos with threads in which people write to the bot."""
    return (context.requests, context.results, context.community)


def watched(context: BoardContext, hook: Webhook) -> list[Repo]:
    """The board's repos that a webhook covers."""
    watched_names = {(item.type, item.name.lower()) for item in hook.watched}
    repos = [context.requests, context.results, context.logs, context.community]
    repos += [context.flags_repo] if context.flags_repo is not None else []
    return [repo for repo in repos if any(name in watched_names for name in _names(repo))]


def _names(repo: Repo) -> list[tuple[str, str]]:
    owner = repo.id.partition("/")[0].lower()
    return [(repo.kind, repo.id.lower()), ("org", owner), ("user", owner)]
