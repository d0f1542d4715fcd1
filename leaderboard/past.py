"""What a request went through before its current attempt, as its file tells by what reopened it each time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from leaderboard.attempts import ATTEMPT_ID, Fault, number_in
from leaderboard.failures import cause

Kind = Literal["failed", "relaunched", "reported", "resubmitted", "put-back", "new-suite"]
_REOPENED_BY_PEOPLE: dict[str, Kind] = {
    "relaunch": "relaunched",
    "report": "reported",
    "resubmit": "resubmitted",
    "commit": "put-back",
    "suite": "new-suite",
}
_ANEW = ("resubmit", "commit", "suite")
"""How causes begin that ask for another evaluation, not for the same one again."""


@dataclass(frozen=True)
class Reopening:
    """One reopening: an `attempt` that failed of `cause` and was followed by another, or a wish of people."""

    kind: Kind
    attempt: str = ""
    number: int = 0
    cause: str = ""
    fault: Fault = "unknown"
    left_log: bool = False


def newest_reopenings(causes: Sequence[str], *, most: int = 20) -> tuple[Reopening, ...]:
    """The newest `most` reopenings, oldest first; causes that say nothing to people are left out."""
    found = (_read(one) for one in causes)
    return tuple(one for one in found if one is not None)[-most:]


def since_asked_anew(causes: Sequence[str]) -> Sequence[str]:
    """Those of `causes` that are about what is evaluated now: not what came before another commit, or suite."""
    starts = (place for place, one in enumerate(causes, 1) if one.partition(":")[0] in _ANEW)
    return causes[max(starts, default=0) :]


def _read(said: str) -> Reopening | None:
    first, _, rest = said.partition(":")
    if ATTEMPT_ID.match(first) is not None:
        row = cause(rest)
        return Reopening("failed", first, number_in(first), row.code, row.fault, left_log=row.code != "worker-lost")
    kind = _REOPENED_BY_PEOPLE.get(first)
    return Reopening(kind) if kind is not None and rest else None
