"""How a board's keys in Redis are built: `steward:1:{board}:…`, where 1 is the version of the layout."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class KeyLayout:
    """Builds the keys of one board."""

    board: str

    def key(self, *parts: str) -> str:
        """The key of these parts."""
        return ":".join(("steward:1", self.board, *parts))


class BoardKey:
    """The key `steward:1:{board}:{name}`."""

    def __init__(self, name: str) -> None:
        self.name = name

    def __get__(self, keys: KeyLayout, owner: type[KeyLayout]) -> str:
        return keys.key(self.name)


class BoardKeyOf:
    """The keys `steward:1:{board}:{name}:{of}`, one for each repo, attempt or digest."""

    def __init__(self, name: str) -> None:
        self.name = name

    def __get__(self, keys: KeyLayout, owner: type[KeyLayout]) -> Callable[[str], str]:
        return lambda of: keys.key(self.name, of)
