"""A bot that dies before one of its calls to the Hub."""

from __future__ import annotations

from collections.abc import Callable

from tests.support.board.board_driver import BoardDriver


class Killed(BaseException):
    """The process is gone."""


class Deadly(list[tuple[str, str]]):
    """The calls of a bot that dies before the one of number `at`."""

    def __init__(self, at: int) -> None:
        super().__init__()
        self.at = at

    def append(self, call: tuple[str, str]) -> None:
        """Note one call, or die."""
        if len(self) == self.at:
            raise Killed
        super().append(call)


def dies(stand: BoardDriver, at: int, act: Callable[[], object]) -> bool:
    """Let `act` happen, and the bot die before its call number `at`; whether it did."""
    stand.calls = Deadly(at)
    try:
        act()
    except Killed:
        return True
    finally:
        stand.calls = []
    return False
