"""Relaunch a request that has ended, on a person's request: one edit of the request file.

Race closed: one comment relaunches twice. The file holds the causes of its relaunches, and a cause counts once.
Race closed: two people ask at once. The second finds the request waiting, or an edit staged for it; and the edit is
void if the status has changed since it was read.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from bot.core.context import BoardContext, request_key
from bot.request_files.attempt_numbers import known_numbers
from bot.request_files.file_edits import digest_of, pending_request, stage_transition
from leaderboard import transitions
from leaderboard.effects import Effect
from leaderboard.request_history import since_asked_anew
from leaderboard.requests import Request, Status
from redis_state.board.entry import IndexEntry
from redis_state.clock import iso
from redis_state.dirty import SyncPriority

How = Literal["done", "sooner", "missing", "unreadable", "under-way", "spent", "budget", "finished", "off"]
DAY_SECONDS = 86_400.0


@dataclass(frozen=True)
class RelaunchResult:
    """The result of a relaunch: `how` selects the sentence, `status` is the request's, `thread` its thread."""

    how: How
    path: str
    status: str = ""
    thread: int | None = None


def relaunch(context: BoardContext, entry: IndexEntry, *, cause: str, once: str | None = None) -> RelaunchResult:
    """Stage an edit that makes the request of `entry` wait again.

    Without `once`, as for a maintainer, the delay of an automatic retry ends (`sooner`). `once` limits the caller: it
    is a prefix of causes, of which a request may have one for each submitted commit. With this limit a finished request
    cannot be relaunched, unless a newer evaluation of it failed; that one is then repeated. One call; if the index was
    lost, those of `used_numbers` too.
    """
    path = entry.path
    pending = pending_request(context, path)
    if isinstance(pending, str):
        return RelaunchResult(pending, path)
    request, file = pending
    if request.status is None:
        return RelaunchResult("unreadable", path)
    how = _relaunch_outcome(context, request, cause, once)
    if how == "under-way" and once is None and request.status.waits and _end_delay(context, path):
        how = "sooner"
    result = RelaunchResult(how, path, request.status.value, request.file.steward.thread or entry.thread)
    if how != "done":
        return result
    step = transitions.retry_transition(request, cause=cause, used=known_numbers(context, request, entry))
    if step is None:
        return result  # this cause has relaunched it before
    if step.facts["spent"] == 0 and step.facts["kept"] is None and not entry.standing.old:
        step = step.submitted_at(iso(context.now()))  # it was never evaluated: quotas count it like a new submission
    # Several requests may share one cause: a report that links them all. So the id of the edit has the path's digest.
    name, line = f"relaunch {cause} {digest_of(path)}", f"Evaluate {request.path.model} once more"
    if not stage_transition(context, request, file.there, step, name=name, line=line, effect=Effect.RELAUNCH):
        return RelaunchResult("off", path, result.status, result.thread)
    context.redis.zadd(context.keys.relaunches, {f"{cause} {path}": context.now()})
    return result


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


def _end_delay(context: BoardContext, path: str) -> bool:
    """End the delay of the request's automatic retry, and return whether there was one."""
    if context.index.get(path).again <= context.now():
        return False
    context.index.change(path, lambda entry: entry.changed(again=context.now()))
    context.mark(request_key(path), SyncPriority.PERSON)
    return True


def _in_budget(context: BoardContext) -> bool:
    """Whether the board has relaunches left for today. Accepted: after Redis was lost, counting starts again at 0."""
    key, now = context.keys.relaunches, context.now()
    context.redis.zremrangebyscore(key, "-inf", now - DAY_SECONDS)
    return int(context.redis.zcard(key)) < context.board.relaunches_a_day
