"""The repos of a board that hold threads, and those that a webhook covers."""

from __future__ import annotations

from collections.abc import Iterable

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


def are_all_watched(context: BoardContext, hooks: Iterable[Webhook]) -> bool:
    """Whether enabled ones of `hooks` report everything that a look of the reconciler reads: commits to the requests
    and flags repos, and what people write in each repo with threads."""
    enabled = [hook for hook in hooks if hook.disabled is None]
    covered = {(domain, repo) for hook in enabled for domain in hook.domains for repo in watched(context, hook)}
    needed = {("repo", context.requests), *(("discussion", repo) for repo in thread_repos(context))}
    needed |= {("repo", context.flags_repo)} if context.flags_repo is not None else set()
    return needed <= covered


def _names(repo: Repo) -> list[tuple[str, str]]:
    owner = repo.id.partition("/")[0].lower()
    return [(repo.kind, repo.id.lower()), ("org", owner), ("user", owner)]
