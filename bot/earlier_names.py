"""Repos of ours under names that they had before: the Hub sends such a name on, and people's links still have it."""

from __future__ import annotations

from collections.abc import Sequence

from bot.desk import Desk, repo_of
from hub.errors import BadRequest, BadToken, Denied, NotFound
from hub.records import Repo
from leaderboard.links import RequestLink
from wire.redis import text

LASTS = 86_400
"""Seconds for which the Hub's word about a name is believed."""
MOST = 2
"""Names in one text that the Hub is asked about."""


def called_now(desk: Desk, repo: Repo) -> Repo:
    """The repo as the Hub calls it now; itself where there is none that we may see. One call. Raises HubError."""
    try:
        return Repo(repo.kind, desk.hub.present_id(repo))
    except BadToken:
        raise
    except (NotFound, Denied, BadRequest):
        return repo


def paths_in_requests(desk: Desk, links: Sequence[RequestLink]) -> list[str]:
    """The paths of those `links` that lead to our requests repo, by its name or by one that it had before.

    Of another name the Hub is asked only where we have a request at that very path, about MOST of them, once a day
    each: links to strangers' repos have us call nobody.
    """
    home = desk.requests.id.lower()
    names = {link.path: (link.repo or home).lower() for link in links}
    strange = [path for path, name in names.items() if name != home]
    known = [one.path for one in desk.index.find(strange) if one is not None and not one.is_private]
    earlier = [name for name in list(dict.fromkeys(names[path] for path in known))[:MOST] if _now(desk, name) == home]
    return [path for path, name in names.items() if name in (home, *earlier)]


def _now(desk: Desk, name: str) -> str:
    """What the dataset `name` is called now, in lower case."""
    key = desk.keys.called_now(name)
    known = desk.redis.get(key)
    if known is None:
        repo = repo_of(f"dataset/{name}")
        known = called_now(desk, repo).id.lower() if repo is not None else name
        desk.redis.set(key, known, ex=LASTS)
    return text(known)
