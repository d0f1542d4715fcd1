"""Whether everybody may read a repo, remembered for a few minutes."""

from __future__ import annotations

import time

from hub.client import Hub
from hub.errors import NotFound
from hub.records import Repo

LASTS = 300.0
"""Seconds for which an answer is believed."""


class Visibility:
    """Which repos are private, as far as our token sees them."""

    def __init__(self, hub: Hub) -> None:
        self._hub = hub
        self._known: dict[Repo, tuple[bool, float]] = {}

    def is_private(self, repo: Repo) -> bool:
        """Whether only some may read `repo`; not so where there is none. One call, at times."""
        known = self._known.get(repo)
        if known is None or time.monotonic() - known[1] > LASTS:
            try:
                known = (self._hub.is_private(repo), time.monotonic())
            except NotFound:
                return False
            self._known[repo] = known
        return known[0]
