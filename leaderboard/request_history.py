"""The history of a request before its current attempt, read from the causes of its reopenings in its file."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from leaderboard import failures
from leaderboard.attempts import ATTEMPT_ID, Fault, number_in

Kind = Literal["failed", "relaunched", "reported", "resubmitted", "put-back", "new-suite"]
_REOPENED_BY_PEOPLE: dict[str, Kind] = {
    "relaunch": "relaunched",
    "report": "reported",
    "resubmit": "resubmitted",
    "commit": "put-back",
    "suite": "new-suite",
}
_ANEW = ("resubmit", "commit", "suite")
"""Prefixes of causes that ask for a different evaluation instead of a retry."""


@dataclass(frozen=True)
class Reopening:
    """One reopening: `attempt` failed with `cause` and another attempt followed, or a person asked for it."""

    kind: Kind
    attempt: str = ""
    number: int = 0
    cause: str = ""
    fault: Fault = "unknown"
    left_log: bool = False


def newest_reopenings(causes: Sequence[str], *, limit: int = 20) -> tuple[Reopening, ...]:
    """Return the newest `limit` reopenings, oldest first, without causes that have no meaning to people."""
    reopenings = (_read(cause) for cause in causes)
    return tuple(reopening for reopening in reopenings if reopening is not None)[-limit:]


def since_asked_anew(causes: Sequence[str]) -> Sequence[str]:
    """Return the `causes` of the present evaluation, without those of an earlier commit or suite."""
    starts = (place for place, cause in enumerate(causes, 1) if cause.partition(":")[0] in _ANEW)
    return causes[max(starts, default=0) :]


def _read(text: str) -> Reopening | None:
    first, _, rest = text.partition(":")
    if ATTEMPT_ID.match(first) is not None:
        row = failures.cause(rest)
        return Reopening("failed", first, number_in(first), row.code, row.fault, left_log=row.code != "worker-lost")
    kind = _REOPENED_BY_PEOPLE.get(first)
    return Reopening(kind) if kind is not None and rest else None
