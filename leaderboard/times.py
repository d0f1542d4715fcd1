"""The times in request files: reads three formats, all in UTC, and corrects times that cannot be true."""

from __future__ import annotations

import math
import re
from datetime import UTC, datetime

MAX_SKEW_SECONDS = 300.0
"""How far the clock of the program that wrote a file may be ahead."""
_DASHED = re.compile(r"(\d{4}-\d\d-\d\d[T ]\d\d)[- ](\d\d)[- ](\d\d(?:\.\d{1,6})?)", re.ASCII)


def read_time(text: str | None) -> float | None:
    """Return seconds since the epoch; None if `text` is empty, unreadable, or a time in UTC before the year 1 or after
    9999.

    Formats: `2024-06-12T10:00:00Z` (submission forms), `2024-01-06T09:45:44.755529` (evaluation clusters),
    `2024-01-06T09-45-44.755529` (other leaderboards), each also with a space instead of the `T`; a whole second may be
    written without a fraction. Old names of results have spaces in place of the dashes.
    """
    if not text or len(text) > 64:
        return None
    word = text.strip()
    dashed = _DASHED.fullmatch(word)
    try:
        time = datetime.fromisoformat(":".join(dashed.groups()) if dashed is not None else word)
        return (time if time.tzinfo is not None else time.replace(tzinfo=UTC)).astimezone(UTC).timestamp()
    except (ValueError, OverflowError):
        return None


def write_time(seconds: float) -> str:
    """Format `seconds` as `2024-06-12T10:00:00Z`, as submission forms write it."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def corrected_time(text: str | None, now: float, *, earliest: float = -math.inf) -> str | None:
    """Return the right `submitted_time` for a file that is read at `now`; None if its own time may stay.

    A time in the future becomes `now`, because it would otherwise distort the order of the queue forever, and so does
    one before `earliest`. Unreadable times stay.
    """
    submitted = read_time(text)
    if submitted is None or earliest <= submitted <= now + MAX_SKEW_SECONDS:
        return None
    return write_time(now)
