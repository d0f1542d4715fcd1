"""Holds, pauses and priorities: maintainers' decisions about the queue, in files that everyone can read.

A hold stops one request and is stored in the `steward` object of its file. A pause stops the board, a tier or a suite.
All pauses are stored in one file of the requests repo, one member each, so that two simultaneous pauses do not
overwrite each other:

    {"tier:large": {"reason": "The large machines are moved.", "by": "maya", "at": "2026-11-25T02:00:00Z"}}

A null member is a pause that has ended. A person who edits the file by hand may write the reason alone.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from leaderboard.jsontext import edit, object_in
from leaderboard.tiers import TIERS

PAUSES = ".steward/pauses"
"""Path of the pauses in the requests repo. It has no `.json`: front ends read every `.json` file as a request."""
FORMER_PAUSES = ".steward/queue.json"
"""Path of the pauses in earlier versions of Steward, which still counts if there is no file at `PAUSES`."""
MAX_PAUSES = 100_000
"""Maximal bytes of the file of pauses."""
BOARD = "board"
"""The target of a pause of the whole queue."""
MAX_REASON = 500

Priority = Literal["high", "normal", "low"]
RANK: Mapping[str, int] = {"high": 0, "normal": 1, "low": 2}


class BadPauses(ValueError):
    """The file of pauses cannot be read; the message says why."""


class Hold(BaseModel):
    """The reason, the author and the start of a hold or a pause. `at` is an ISO time in UTC."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    reason: str = Field(min_length=1, max_length=2_000)
    by: str = Field(default="", max_length=100)
    at: str = Field(default="", max_length=40)


UNKNOWN: Mapping[str, Hold] = {
    BOARD: Hold(reason=f"The file {PAUSES} cannot be read, so all evaluations wait until a maintainer repairs it.")
}
"""The pauses while their file is broken and its earlier contents are unknown: nothing starts."""


def is_target(target: str) -> bool:
    """Whether `target` can be paused: `board`, `tier:…` or `suite:…`."""
    kind, _, name = target.partition(":")
    return target == BOARD or (kind == "tier" and name in TIERS) or (kind == "suite" and 0 < len(name) <= 100)


def parse_pauses(data: bytes) -> dict[str, Hold]:
    """Return the pauses by target, ignoring members that are no pause. Raises BadPauses."""
    try:
        members = json.loads(data.decode("utf-8-sig"))
    except (ValueError, RecursionError) as error:
        raise BadPauses(f"{PAUSES} is not JSON: {str(error)[:200]}") from error
    if not isinstance(members, dict):
        raise BadPauses(f"{PAUSES} is JSON, but not an object with a member for each pause.")
    pauses = {target: _hold(value) for target, value in members.items() if is_target(target)}
    return {target: hold for target, hold in pauses.items() if hold is not None}


def merge_pauses(present: bytes, newer: bytes) -> bytes:
    """Return the file `present` with the members of `newer`; the other file if one of them holds no object."""
    members = object_in(newer)
    if members is None:
        return present
    return edit(present.decode(), members).encode() if object_in(present) is not None else newer


def _hold(value: Any) -> Hold | None:
    if isinstance(value, str) and value.strip():
        return Hold(reason=value.strip()[:MAX_REASON])
    try:
        return Hold.model_validate(value)
    except ValidationError:
        return None
