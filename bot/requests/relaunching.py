"""Evaluate once more what has come to its end, because a person asked: one edit of the request file.

Race closed: one comment relaunches twice. What caused a relaunch stands in the file, and a cause counts once.
Race closed: two people ask at once. The second finds the request waiting, or about to; and the edit rests on the status
that was read.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from bot.core.context import BoardContext
from bot.request_files.attempt_numbers import known_numbers
from bot.request_files.file_edits import digest_of, pending_request, stage_transition
from leaderboard import transitions
from leaderboard.effects import Effect
from leaderboard.past import since_asked_anew
from leaderboard.requests import Request, Status
from redis_state.board.entry import IndexEntry

How = Literal["done", "missing", "unreadable", "under-way", "spent", "budget", "finished", "off"]
DAY = 86_400.0


@dataclass(frozen=True)
class RelaunchResult:
    """What came of it: `how` names the sentence, `status` is the request's own, `thread` where it is followed."""

    how: How
    path: str
    status: str = ""
    thread: int | None = None


def relaunch(context: BoardContext, entry: IndexEntry, *, cause: str, once: str | None = None) -> RelaunchResult:
    """Have the request of `entry` wait again.

    `once` is how causes begin of which a request may have one for each commit that was asked for: those of whoever may
    ask only once. Somebody whose right is so limited cannot relaunch what has finished, unless a newer evaluation of it
    failed; then that is made once more. One call; where the index was lost, those of `used_numbers`.
    """
    path = entry.path
    found = pending_request(context, path)
    if isinstance(found, str):
        return RelaunchResult(found, path)
    request, file = found
    if request.status is None:
        return RelaunchResult("unreadable", path)
    how = _relaunch_outcome(context, request, cause, once)
    known = RelaunchResult(how, path, request.status.value, request.file.steward.thread or entry.thread)
    if how != "done":
        return known
    used, is_shown = known_numbers(context, request, entry), context.board.shows_new_evals
    step = transitions.retry_transition(request, cause=cause, keeps_previous=is_shown, used=used)
    if step is None:
        return known  # this cause has relaunched it before
    # One cause may be that of several requests: a report that links them all.
    name, line = f"relaunch {cause} {digest_of(path)}", f"Evaluate {request.path.model} once more"
    if not stage_transition(context, request, file.there, step, name=name, line=line, effect=Effect.RELAUNCH):
        return RelaunchResult("off", path, known.status, known.thread)
    context.redis.zadd(context.keys.relaunches, {f"{cause} {path}": context.now()})
    return known


def _relaunch_outcome(context: BoardContext, request: Request, cause: str, once: str | None) -> How:
    causes, status = request.file.steward.causes, request.status
    if cause in causes:
        return "done"
    if status is None or status.waits or status is Status.RUNNING:
        return "under-way"
    if once is not None and status is Status.FINISHED and request.tried is None:
        return "finished"
    if once is not None and any(earlier.startswith(once) for earlier in since_asked_anew(causes)):
        return "spent"
    return "done" if _in_budget(context) else "budget"


def _in_budget(context: BoardContext) -> bool:
    """Whether the board has relaunches left for today. Accepted: after Redis was lost they are counted anew."""
    key, now = context.keys.relaunches, context.now()
    context.redis.zremrangebyscore(key, "-inf", now - DAY)
    return int(context.redis.zcard(key)) < context.board.relaunches_a_day
