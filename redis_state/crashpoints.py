"""Named points between effects, at which tests kill a process to see what the next one makes of it.

In production the setting is empty and a point costs one comparison. With `STEWARD_CRASH_AT=name` the process dies there
as if killed with -9: no handler runs, no buffer is flushed, no lock is freed. `name:3` dies at the third passage, and
`name|other` at whichever of them comes first.
`STEWARD_CRASH_NOTE=path` makes it happen once: the file is made before, and where it exists already nobody dies, so
that what a dead process's parent starts in its place goes on.
"""

from __future__ import annotations

import os
import signal
import sys


def _armed(setting: str) -> dict[str, int]:
    """Where to die → how many passages are left."""
    pairs = (part.partition(":") for part in setting.split("|") if part)
    return {name: int(count or 1) for name, _, count in pairs}


_left = _armed(os.environ.get("STEWARD_CRASH_AT", ""))
POINTS: dict[str, str] = {}
"""The points that this process knows, and the module that each stands in."""


def point(name: str) -> str:
    """Declare a crash point, at import time, so that tests can list all of them."""
    POINTS[name] = sys._getframe(1).f_globals["__name__"]
    return name


def pass_by(name: str) -> None:
    """Die here if this is the point that was asked for."""
    if name not in _left:
        return
    _left[name] -= 1
    if _left[name] <= 0 and _first():
        os.kill(os.getpid(), signal.SIGKILL)


def _first() -> bool:
    """Whether nobody has died of this before."""
    note = os.environ.get("STEWARD_CRASH_NOTE")
    if not note:
        return True
    try:
        os.close(os.open(note, os.O_CREAT | os.O_EXCL | os.O_WRONLY))
    except FileExistsError:
        return False
    return True
