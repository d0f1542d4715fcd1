"""Times as people say them: UTC, with a relative word."""

from __future__ import annotations

from datetime import UTC, datetime

_STEPS = ((86_400.0, "day", 3_600.0), (3_600.0, "hour", 60.0), (60.0, "minute", 1.0), (1.0, "second", 0.0))
"""Seconds of each unit, its name, and those of the next finer one."""


def in_words(seconds: float) -> str:
    """A span: "about 2 hours"; less than a second is "a moment"."""
    for length, name, finer in _STEPS:
        if seconds >= length - finer / 2:  # or it would be rounded to 60 minutes, or 24 hours
            count = round(seconds / length)
            about = "about " if length > 1 else ""
            return f"{about}{count} {name}{'' if count == 1 else 's'}"
    return "a moment"


def when(at: float, *, now: float) -> str:
    """A time: "2026-11-24 18:03 UTC (in about 2 hours)"."""
    stamp = datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M UTC")
    apart = abs(at - now)
    relative = "now" if apart < 1 else f"in {in_words(apart)}" if at > now else f"{in_words(apart)} ago"
    return f"{stamp} ({relative})"
