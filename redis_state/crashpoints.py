"""Named points between effects, at which tests kill a process to check how the next process recovers.

In production the setting is empty and a point costs one comparison. With `STEWARD_CRASH_AT=name` the process dies there
as if killed with -9: no handler runs, no buffer is flushed, no lock is freed. `name:3` dies at the third passage, and
`name|other` at the first of the two.
With `STEWARD_CRASH_NOTE=path` only one process dies: it creates the file first, and no process dies once the file
exists, so that the replacement that the parent starts goes on.
"""

from __future__ import annotations

import os
import signal
import sys


def _armed(setting: str) -> dict[str, int]:
    """Parse the setting: point → passages until the process dies."""
    pairs = (part.partition(":") for part in setting.split("|") if part)
    return {name: int(count or 1) for name, _, count in pairs}


_passages_left = _armed(os.environ.get("STEWARD_CRASH_AT", ""))
POINTS: dict[str, str] = {}
"""The points of all imported modules, and the module of each."""


def point(name: str) -> str:
    """Declare a crash point at import time, so that tests can list all points."""
    POINTS[name] = sys._getframe(1).f_globals["__name__"]
    return name


def pass_by(name: str) -> None:
    """Kill this process if the setting names this point."""
    if name not in _passages_left:
        return
    _passages_left[name] -= 1
    if _passages_left[name] <= 0 and _claim_note():
        os.kill(os.getpid(), signal.SIGKILL)


def _claim_note() -> bool:
    """Create the note file; False if it exists because a process died before."""
    note = os.environ.get("STEWARD_CRASH_NOTE")
    if not note:
        return True
    try:
        os.close(os.open(note, os.O_CREAT | os.O_EXCL | os.O_WRONLY))
    except FileExistsError:
        return False
    return True
