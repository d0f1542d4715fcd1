"""The common prefix of a board's keys."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class BoardKeys:
    """The keys of one board: `steward:1:{board}:…`, where 1 is the version of the layout."""

    board: str

    def _key(self, *parts: str) -> str:
        return ":".join(("steward:1", self.board, *parts))
