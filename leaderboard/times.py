"""The times in request files: three ways of writing them, all meant in UTC, and what becomes of made-up ones."""

from __future__ import annotations

from datetime import UTC, datetime

SKEW = 300.0
"""Seconds by which the clock of whoever wrote a file may be ahead."""
_DASHED = "%Y-%m-%dT%H-%M-%S.%f"


def read_time(text: str | None) -> float | None:
    """Seconds since the epoch; None where nothing, or nothing readable, is written.

    `2024-06-12T10:00:00Z` of the forms, `2024-01-06T09:45:44.755529` of the clusters, `2024-01-06T09-45-44.755529` of
    other leaderboards, and the same with a blank for the `T`.
    """
    if not text or len(text) > 64:
        return None
    for read in (datetime.fromisoformat, lambda word: datetime.strptime(word, _DASHED)):  # noqa: DTZ007  UTC below
        try:
            found = read(text.strip())
            return (found if found.tzinfo is not None else found.replace(tzinfo=UTC)).timestamp()
        except (ValueError, OverflowError):
            continue
    return None


def write_time(seconds: float) -> str:
    """`2024-06-12T10:00:00Z`, as the forms write it."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def corrected_time(text: str | None, committed: float) -> str | None:
    """What `submitted_time` has to become in a file that was committed at `committed`; None where it may stay.

    Nobody submits after the commit that submits it, so a later time is set to that of the commit: it would otherwise
    stand before, or behind, everyone else for ever. Earlier times, and those that nobody can read, are left alone.
    """
    said = read_time(text)
    return write_time(committed) if said is not None and said > committed + SKEW else None
