"""Levels of positions in the queue (1, 3, 10, 30, 100, 300, …), at which a thread shows a new position."""

from __future__ import annotations

from bisect import bisect_left

LEVELS: tuple[int, ...] = tuple(step * 10**power for power in range(9) for step in (1, 3))


def level(position: int) -> int:
    """Return the smallest of 1, 3, 10, 30, … that is not below `position` (from 1)."""
    return LEVELS[bisect_left(LEVELS, position)]


def crosses(stated: int, position: int) -> bool:
    """Whether a thread that shows the position `stated` must show `position`; 0 stands for no position.

    A better position is shown at each level. A worse one, after other requests moved ahead, is shown only beyond the
    next level, because the position often recovers by itself.
    """
    if not stated or not position:
        return bool(stated) != bool(position)
    return level(position) < level(stated) or level(position) > level(level(stated) + 1)
