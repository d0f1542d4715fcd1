"""Hold, pause, priority: what maintainers decide about the queue, in words that everyone can read.

A hold is about one request and lies in its file's `steward` object. A pause is about the board, a tier or a suite; all
of them lie in one file of the requests repo, a member for each, so that two people who pause two things at the same
time do not undo each other:

    {"tier:large": {"reason": "The large machines are moved.", "by": "maya", "at": "2026-11-25T02:00:00Z"}}

A member that is null is over. Who edits the file by hand may write just the reason.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from leaderboard.jsontext import edit, object_in
from leaderboard.tiers import TIERS

PAUSES = ".steward/pauses"
"""Path of the pauses in the requests repo; front ends take every file that ends in `.json` for a request."""
FORMER_PAUSES = ".steward/queue.json"
"""Their path in earlier versions; it counts where there is no file at `PAUSES`."""
MAX_PAUSES = 100_000
BOARD = "board"
"""The pause of everything."""
MAX_REASON = 500

Priority = Literal["high", "normal", "low"]
RANK: Mapping[str, int] = {"high": 0, "normal": 1, "low": 2}


class BadPauses(ValueError):
    """The file of pauses cannot be read; the message says why."""


class Hold(BaseModel):
    """Why, by whom and since when something is held. `at` is an ISO time in UTC."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    reason: str = Field(min_length=1, max_length=2_000)
    by: str = Field(default="", max_length=100)
    at: str = Field(default="", max_length=40)


UNKNOWN: Mapping[str, Hold] = {
    BOARD: Hold(reason=f"The file {PAUSES} cannot be read, so nobody knows what is paused. A maintainer must mend it.")
}
"""The pauses while their file is broken, and what it said before is not known: whoever knows nothing starts nothing."""


def is_target(what: str) -> bool:
    """Whether `what` can be paused: `board`, `tier:…` or `suite:…`."""
    kind, _, name = what.partition(":")
    return what == BOARD or (kind == "tier" and name in TIERS) or (kind == "suite" and 0 < len(name) <= 100)


def parse_pauses(data: bytes) -> dict[str, Hold]:
    """What is paused, by target. Members that say nothing of a pause are passed over. Raises BadPauses."""
    try:
        found = json.loads(data.decode("utf-8-sig"))
    except (ValueError, RecursionError) as error:
        raise BadPauses(f"{PAUSES} is not JSON: {str(error)[:200]}") from error
    if not isinstance(found, dict):
        raise BadPauses(f"{PAUSES} holds JSON, but not an object with a member for each pause.")
    pauses = {what: _hold(said) for what, said in found.items() if is_target(what)}
    return {what: hold for what, hold in pauses.items() if hold is not None}


def merge_pauses(present: bytes, newer: bytes) -> bytes:
    """The file `present` with the members of the file `newer`. Of two files only one of which holds an object, that."""
    members = object_in(newer)
    if members is None:
        return present
    return edit(present.decode(), members).encode() if object_in(present) is not None else newer


def _hold(said: Any) -> Hold | None:
    if isinstance(said, str) and said.strip():
        return Hold(reason=said.strip()[:MAX_REASON])
    try:
        return Hold.model_validate(said)
    except ValidationError:
        return None
