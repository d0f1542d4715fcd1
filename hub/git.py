"""The git URL of a repo, and the meaning of git's errors; the caller runs git.

The first request already sends the token, as the password of a Basic `Authorization` header, because a 401 would cost
another call each time.
"""

from __future__ import annotations

import re
from base64 import b64encode
from dataclasses import dataclass, field

from hub.answers import DEFAULT_WAIT
from hub.errors import BadToken, Denied, HubError, RateLimited, RepoNotFound, Transient, Unreachable

_STATUS = re.compile(r"status code: (\d{3})")


@dataclass(frozen=True)
class GitAddress:
    """The URL and headers for fetching one repo with git; `headers` contain the token."""

    url: str
    headers: tuple[str, ...] = field(repr=False)


def git_address(endpoint: str, web: str, token: str | None) -> GitAddress:
    """Return the git address of the repo with pages at `web`, with `token`."""
    password = f"Authorization: Basic {b64encode(f'steward:{token}'.encode()).decode()}"
    return GitAddress(endpoint + web, () if token is None else (password,))


def git_refusal(repo: str, message: str) -> HubError:
    """Return the error that `message`, libgit2's message about a failed fetch of `repo`, means."""
    sentence = f"git could not fetch {repo}: {message[:300]}."
    match = _STATUS.search(message)
    status = int(match[1]) if match else 0
    if status == 429:
        # libgit2 does not expose the headers, and so not the time to wait.
        return RateLimited(sentence, seconds=DEFAULT_WAIT, what="git")
    if status == 404:
        return RepoNotFound(sentence, status=status)
    if status == 401 or "authentication" in message:
        return BadToken(sentence, status=401)
    if status == 403:
        return Denied(sentence, status=status)
    if message.startswith(("failed to connect", "failed to resolve")):
        return Unreachable(sentence)
    return Transient(sentence, status=status or None)
