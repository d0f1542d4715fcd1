"""Where git finds a repo, and what it means when git is turned away. The cloning itself is up to whoever has a git.

The token goes along as the password of a Basic `Authorization` header with the first request: asked for only after a
401 it would cost another call each time.
"""

from __future__ import annotations

import re
from base64 import b64encode
from dataclasses import dataclass, field

from hub.answers import DEFAULT_WAIT
from hub.errors import Denied, HubError, RateLimited, RepoNotFound, Transient, Unreachable

_STATUS = re.compile(r"status code: (\d{3})")


@dataclass(frozen=True)
class GitAddress:
    """What a git client needs to fetch from one repo; `headers` hold the token."""

    url: str
    headers: tuple[str, ...] = field(repr=False)


def git_address(endpoint: str, web: str, token: str | None) -> GitAddress:
    """The address of the repo whose pages are at `web`, for whoever holds `token`."""
    password = f"Authorization: Basic {b64encode(f'steward:{token}'.encode()).decode()}"
    return GitAddress(endpoint + web, () if token is None else (password,))


def git_refusal(repo: str, words: str) -> HubError:
    """The error behind `words`, libgit2's message about a fetch of `repo` that failed."""
    sentence = f"git could not fetch {repo}: {words[:300]}."
    found = _STATUS.search(words)
    status = int(found[1]) if found else 0
    if status == 429:
        # libgit2 keeps the headers to itself, and with them how long to stay away.
        return RateLimited(sentence, seconds=DEFAULT_WAIT, what="git")
    if status == 404:
        return RepoNotFound(sentence, status=status)
    if status in (401, 403) or "authentication" in words:
        return Denied(sentence, status=status or 401)
    if words.startswith(("failed to connect", "failed to resolve")):
        return Unreachable(sentence)
    return Transient(sentence, status=status or None)
