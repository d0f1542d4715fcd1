"""The probe of a test process."""

from __future__ import annotations

import atexit
from functools import cache

from bot.probe import Probe


@cache
def shared_probe() -> Probe:
    """One for all tests: it starts at its first question, which takes seconds. It starts again after a death."""
    probe = Probe()
    atexit.register(probe.close)
    return probe
