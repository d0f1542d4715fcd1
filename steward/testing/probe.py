"""The probe that all tests of a process share."""

from __future__ import annotations

import atexit
from functools import cache

from bot.probe import Probe


@cache
def shared_probe() -> Probe:
    """Return the probe that all tests of a process share: its start takes seconds. After a crash it starts again."""
    probe = Probe()
    atexit.register(probe.close)
    return probe
