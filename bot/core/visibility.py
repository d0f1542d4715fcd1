"""Whether a repo is private, cached for a few minutes."""

from __future__ import annotations

import time

from hub.client import Hub
from hub.errors import NotFound
from hub.records import Repo

CACHE_SECONDS = 300.0
"""Time for which an answer is cached."""


class Visibility:
    """Visibility of repos, as the bot's token sees them."""

    def __init__(self, hub: Hub) -> None:
        self._hub = hub
        self._known: dict[Repo, tuple[bool, float]] = {}

    def is_private(self, repo: Repo) -> bool:
        """Whether `repo` is private; False if it does not exist. One call if the answer is not cached."""
        known = self._known.get(repo)
        if known is None or time.monotonic() - known[1] > CACHE_SECONDS:
            try:
                known = (self._hub.is_private(repo), time.monotonic())
            except NotFound:
                return False
            self._known[repo] = known
        return known[0]
