"""Which finished requests are worth another evaluation, once the board's suite has become another one."""

from __future__ import annotations

import hashlib
from typing import Literal

from leaderboard.requests import Request

ReevaluationStatus = Literal["due", "current", "tried", "unknown"]


def reevaluation_status(request: Request, made_with: str | None, suite: str) -> ReevaluationStatus:
    """How the result of a finished request stands to `suite`, a digest; `made_with` is that of its own suite, if known.

    `tried` was put back for this suite once, and has the result that it had then: the newer evaluation failed.
    """
    if made_with == suite:
        return "current"
    if cause_of(request, suite) in request.file.steward.causes:
        return "tried"
    return "due" if made_with is not None else "unknown"


def cause_of(request: Request, suite: str) -> str:
    """What reopens the request for `suite`: the same as long as it has the same result, of which another may come."""
    result = hashlib.sha256((request.file.steward.results or "").encode()).hexdigest()
    return f"suite:{suite[:16]}:{result[:16]}"
