"""Repos of ours under names that they had before: the Hub sends such a name on, and people's links still have it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from bot.core.context import BoardContext, repo_of
from hub.errors import BadRequest, BadToken, Denied, NotFound
from hub.records import Repo
from leaderboard.links import RequestLink
from redis_state.redis import text

LASTS = 86_400
"""Seconds for which the Hub's word about a name is believed."""
MOST = 2
"""Names in one text that the Hub is asked about."""


def called_now(context: BoardContext, repo: Repo) -> Repo:
    """The repo as the Hub calls it now; itself where there is none that we may see. One call. Raises HubError."""
    try:
        return Repo(repo.kind, context.hub.present_id(repo))
    except BadToken:
        raise
    except (NotFound, Denied, BadRequest):
        return repo


def paths_in_requests(context: BoardContext, links: Sequence[RequestLink]) -> list[str]:
    """The paths of those `links` that lead to our requests repo, by its name or by one that it had before.

    Of another name the Hub is asked only where we have a request at that very path: links to strangers' repos have us
    call nobody.
    """
    home = context.requests.id
    names = {link.path: link.repo or home for link in links}
    strange = [path for path, name in names.items() if name.lower() != home.lower()]
    known = [one.path for one in context.index.find(strange) if one is not None and not one.is_private]
    meant = ours_among(context, [home, *(names[path] for path in known)])
    return [path for path, name in names.items() if meant.get(name.lower()) == context.requests]


def ours_among(context: BoardContext, names: Iterable[str]) -> dict[str, Repo]:
    """Those of these datasets' `names`, in lower case, that are our requests or results repo's, or were before.

    Of others the Hub is asked, about MOST of them, once a day each.
    """
    ours = {repo.id.lower(): repo for repo in (context.requests, context.results)}
    wanted = dict.fromkeys(name.lower() for name in names)
    strange = [name for name in wanted if name not in ours][:MOST]
    now = {name: name for name in wanted} | {name: _now(context, name) for name in strange}
    return {name: ours[present] for name, present in now.items() if present in ours}


def _now(context: BoardContext, name: str) -> str:
    """What the dataset `name` is called now, in lower case."""
    key = context.keys.called_now(name)
    known = context.redis.get(key)
    if known is None:
        repo = repo_of(f"dataset/{name}")
        known = called_now(context, repo).id.lower() if repo is not None else name
        context.redis.set(key, known, ex=LASTS)
    return text(known)
