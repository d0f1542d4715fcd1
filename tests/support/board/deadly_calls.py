"""Kills a bot before one of its calls to the Hub."""

from __future__ import annotations

from collections.abc import Callable

from steward.testing.board import BoardDriver


class Killed(BaseException):
    """Raised where a real process would be killed."""


class FatalCallLog(list[tuple[str, str]]):
    """A record of calls that raises Killed before call number `at`."""

    def __init__(self, at: int) -> None:
        super().__init__()
        self.at = at

    def append(self, call: tuple[str, str]) -> None:
        """Record one call, or raise Killed."""
        if len(self) == self.at:
            raise Killed
        super().append(call)


def dies(stand: BoardDriver, at: int, act: Callable[[], object]) -> bool:
    """Run `act`, and kill the bot before its call number `at`; return whether it was killed."""
    stand.calls = FatalCallLog(at)
    try:
        act()
    except Killed:
        return True
    finally:
        stand.calls = []
    return False
