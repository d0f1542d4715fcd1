"""When a position in the queue is worth telling again: as it crosses 1, 3, 10, 30, 100, 300, …"""

from __future__ import annotations

from bisect import bisect_left

LEVELS: tuple[int, ...] = tuple(step * 10**power for power in range(9) for step in (1, 3))


def level(position: int) -> int:
    """The smallest of 1, 3, 10, 30, … that is not below `position` (from 1)."""
    return LEVELS[bisect_left(LEVELS, position)]


def crosses(told: int, position: int) -> bool:
    """Whether `position` is to be told where `told` was told last; 0 stands for no position.

    Whoever comes nearer is told at each level. Whoever falls back, for others had their turn before, is told only past
    the level after theirs: it often evens out by itself.
    """
    if not told or not position:
        return bool(told) != bool(position)
    return level(position) < level(told) or level(position) > level(level(told) + 1)
