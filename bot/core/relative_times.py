"""Times for people: in UTC, and relative to now."""

from __future__ import annotations

from datetime import UTC, datetime

_STEPS = ((86_400.0, "day", 3_600.0), (3_600.0, "hour", 60.0), (60.0, "minute", 1.0), (1.0, "second", 0.0))
"""Seconds of each unit, its name, and the seconds of the next smaller unit."""


def in_words(seconds: float) -> str:
    """A duration: "about 2 hours"; less than a second is "a moment"."""
    for length, name, smaller in _STEPS:
        if seconds >= length - smaller / 2:  # a slightly shorter time would be rounded to 60 minutes, or 24 hours
            count = round(seconds / length)
            about = "about " if length > 1 else ""
            return f"{about}{count} {name}{'' if count == 1 else 's'}"
    return "a moment"


def stamp(at: float) -> str:
    """A time alone: "2026-11-24 18:03 UTC"."""
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M UTC")


def when(at: float, *, now: float) -> str:
    """A time: "2026-11-24 18:03 UTC (in about 2 hours)"."""
    distance = abs(at - now)
    relative = "now" if distance < 1 else f"in {in_words(distance)}" if at > now else f"{in_words(distance)} ago"
    return f"{stamp(at)} ({relative})"
