"""The board's repos under earlier names: the Hub redirects such a name, and people's links still use it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from bot.core.context import BoardContext, repo_of
from hub.errors import BadRequest, Denied
from hub.records import Repo
from hub.retries import unless_gone
from leaderboard.links import RequestLink
from redis_state.redis import text

CACHE_SECONDS = 86_400
"""Time for which the Hub's answer about a name is cached."""
MAX_NAMES = 2
"""Names in one text that the bot asks the Hub about."""


def called_now(context: BoardContext, repo: Repo) -> Repo:
    """The repo under its present name; unchanged if the bot can see no such repo. One call, and another one after a
    404. Raises HubError."""
    try:
        present = unless_gone(lambda: context.hub.present_id(repo))
    except (Denied, BadRequest):
        present = None
    return Repo(repo.kind, present) if present is not None else repo


def paths_in_requests(context: BoardContext, links: Sequence[RequestLink]) -> list[str]:
    """The paths of those `links` that lead to the requests repo, by its present name or an earlier one.

    The bot asks the Hub about another name only if the board has a request at the same path: links to other repos cause
    no calls.
    """
    requests_id = context.requests.id
    names = {link.path: link.repo or requests_id for link in links}
    foreign_paths = [path for path, name in names.items() if name.lower() != requests_id.lower()]
    indexed = [entry.path for entry in context.index.find(foreign_paths) if entry is not None and not entry.is_private]
    ours = ours_among(context, [requests_id, *(names[path] for path in indexed)])
    return [path for path, name in names.items() if ours.get(name.lower()) == context.requests]


def ours_among(context: BoardContext, names: Iterable[str]) -> dict[str, Repo]:
    """Those dataset `names`, in lower case, that are present or earlier names of the requests or results repo.

    For other names the bot asks the Hub: about MAX_NAMES of them, each once a day, and once more after a 404.
    """
    ours = {repo.id.lower(): repo for repo in (context.requests, context.results)}
    wanted = dict.fromkeys(name.lower() for name in names)
    unknown_names = [name for name in wanted if name not in ours][:MAX_NAMES]
    present_names = {name: name for name in wanted} | {name: _present_name(context, name) for name in unknown_names}
    return {name: ours[present] for name, present in present_names.items() if present in ours}


def _present_name(context: BoardContext, name: str) -> str:
    """The present name of the dataset `name`, in lower case."""
    key = context.keys.called_now(name)
    cached = context.redis.get(key)
    if cached is None:
        repo = repo_of(f"dataset/{name}")
        cached = called_now(context, repo).id.lower() if repo is not None else name
        context.redis.set(key, cached, ex=CACHE_SECONDS)
    return text(cached)
