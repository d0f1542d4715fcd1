"""The probe of a test process."""

from __future__ import annotations

import atexit
from functools import cache

from bot.probe import Probe


@cache
def shared_probe() -> Probe:
    """Return the probe that all tests of a process share: its start takes seconds. It restarts after a death."""
    probe = Probe()
    atexit.register(probe.close)
    return probe
