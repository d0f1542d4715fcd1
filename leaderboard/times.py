"""The times in request files: reads three formats, all in UTC, and corrects times that cannot be true."""

from __future__ import annotations

from datetime import UTC, datetime

MAX_SKEW_SECONDS = 300.0
"""How far the clock of the program that wrote a file may be ahead."""
_DASHED = "%Y-%m-%dT%H-%M-%S.%f"


def read_time(text: str | None) -> float | None:
    """Return seconds since the epoch; None if `text` is empty or unreadable.

    Formats: `2024-06-12T10:00:00Z` (submission forms), `2024-01-06T09:45:44.755529` (evaluation clusters),
    `2024-01-06T09-45-44.755529` (other leaderboards), each also with a space instead of the `T`.
    """
    if not text or len(text) > 64:
        return None
    for read in (datetime.fromisoformat, lambda word: datetime.strptime(word, _DASHED)):  # noqa: DTZ007  UTC below
        try:
            time = read(text.strip())
            return (time if time.tzinfo is not None else time.replace(tzinfo=UTC)).timestamp()
        except (ValueError, OverflowError):
            continue
    return None


def write_time(seconds: float) -> str:
    """Format `seconds` as `2024-06-12T10:00:00Z`, as submission forms write it."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def corrected_time(text: str | None, committed: float) -> str | None:
    """Return the right `submitted_time` for a file committed at `committed`; None if its own time may stay.

    A submission cannot be later than its commit. A later time becomes the time of the commit, because it would
    otherwise distort the order of the queue forever. Earlier and unreadable times stay.
    """
    submitted = read_time(text)
    return write_time(committed) if submitted is not None and submitted > committed + MAX_SKEW_SECONDS else None
