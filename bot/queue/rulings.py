"""What maintainers decide about the queue: cancel, hold, priority, pause. Each is one edit by way of the ledger.

All are idempotent: whatever is so already changes nothing and says so. They decide by the file as it will be when all
that was decided before has landed, and the edit is void where the status has changed in between; Redis is told by the
sync that the edit wakes. They ask nobody for permission: whoever calls them has done that.

Race closed: two maintainers want opposite things of one request, before the first of them is committed. The second is
told how it is since the first. Should a third want what the first wanted, it is another edit, behind the two: under the
id of the first it would take the first one's place.
Race accepted: they do so at the very same instant, in two threads. Then both are told that it will be done, and the
edit that was staged first decides.
"""

from __future__ import annotations

import secrets

from bot.core.context import BoardContext, request_key
from bot.ledger.edits import FieldEdit, PutFile
from bot.read_models.queue_texts import Code, QueueCommandResult
from bot.request_files.file_edits import PendingFile, base_of, digest_of, pending_request, read_pending
from hub.errors import TooLarge
from leaderboard.attempts import number_in
from leaderboard.holds import (
    FORMER_PAUSES,
    MAX_PAUSES,
    MAX_REASON,
    PAUSES,
    BadPauses,
    Hold,
    Priority,
    is_target,
    parse_pauses,
)
from leaderboard.requests import Request, Status
from leaderboard.transitions import (
    Transition,
    cancel_transition,
    hold_transition,
    previous_result_of,
    priority_transition,
)
from redis_state.board.pauses import PAUSED
from redis_state.clock import iso


def cancel(context: BoardContext, path: str, reason: str, by: str) -> QueueCommandResult:
    """Withdraw the request at `path`, wherever it is: waiting, in RQ, or running. An earlier result of it stays."""
    found = _open(context, path)
    if isinstance(found, QueueCommandResult):
        return found if found.reason != Status.CANCELLED.value else QueueCommandResult("cancelled-already", False, path)
    request, file = found
    step = cancel_transition(_hold(context, reason, by), previous_result_of(request) or context.index.get(path).kept)
    return _stage(context, request, file, step, "Cancel", "cancelled")


def hold(context: BoardContext, path: str, reason: str, by: str) -> QueueCommandResult:
    """Give the request at `path` no turn until `unhold`; what runs goes on."""
    found = _open(context, path)
    if isinstance(found, QueueCommandResult):
        return found
    request, file = found
    why, known = _hold(context, reason, by), request.file.steward.hold
    if known is not None and known.reason == why.reason:
        return QueueCommandResult("held-already", False, path)
    return _stage(context, request, file, hold_transition(why), "Hold", "held")


def unhold(context: BoardContext, path: str) -> QueueCommandResult:
    """Give the request at `path` its turn again."""
    found = _open(context, path)
    if isinstance(found, QueueCommandResult):
        return found
    request, file = found
    if request.file.steward.hold is None:
        return QueueCommandResult("not-held", False, path)
    return _stage(context, request, file, hold_transition(None), "Lift the hold of", "unheld")


def set_priority(context: BoardContext, path: str, priority: Priority) -> QueueCommandResult:
    """Have the turn of the request at `path` come before those of lower priorities."""
    found = _open(context, path)
    if isinstance(found, QueueCommandResult):
        return found
    request, file = found
    if (request.file.steward.priority or "normal") == priority:
        return QueueCommandResult("priority-already", False, path, priority)
    step = priority_transition(priority)
    return _stage(context, request, file, step, f"Give {priority} priority to", "priority", priority)


def pause(context: BoardContext, what: str, reason: str, by: str) -> QueueCommandResult:
    """Give nothing of `what` (`board`, `tier:…`, `suite:…`) a turn until `resume`; what runs goes on."""
    if not is_target(what):
        return QueueCommandResult("no-target", False, what)
    found = _pauses(context)
    if isinstance(found, QueueCommandResult):
        return found
    path, pauses = found
    known, why = pauses.get(what), _hold(context, reason, by)
    if known is not None and known.reason == why.reason:
        return QueueCommandResult("paused-already", False, what)
    return _stage_pause(context, path, what, why, "paused")


def resume(context: BoardContext, what: str) -> QueueCommandResult:
    """Give what was paused its turns again."""
    if not is_target(what):
        return QueueCommandResult("no-target", False, what)
    found = _pauses(context)
    if isinstance(found, QueueCommandResult):
        return found
    path, pauses = found
    if what not in pauses:
        return QueueCommandResult("not-paused", False, what)
    return _stage_pause(context, path, what, None, "resumed")


def _open(context: BoardContext, path: str) -> tuple[Request, PendingFile] | QueueCommandResult:
    """The request at `path` with its file, if it has not come to its end; else why it cannot be ruled about."""
    found = pending_request(context, path)
    if isinstance(found, str):
        return QueueCommandResult(found, False, path)
    request, file = found
    status = request.status
    if status is None or _is_foreign(context, request):
        return QueueCommandResult("foreign", False, path)
    if not status.waits and status is not Status.RUNNING:
        return QueueCommandResult("over", False, path, status.value)
    return request, file


def _is_foreign(context: BoardContext, request: Request) -> bool:
    """Whether another backend runs it."""
    file, path = request.file, str(request.path)
    ours = file.steward.attempt > 0 and number_in(file.job_id, context.board.name, path) > 0
    return request.status is Status.RUNNING and not ours


def _stage(
    context: BoardContext,
    request: Request,
    file: PendingFile,
    step: Transition,
    does: str,
    code: Code,
    reason: str = "",
) -> QueueCommandResult:
    """Stage `step`, which stands as long as the request has not come to its end."""
    path = str(request.path)
    # Where others are staged, what the file will be may be what it was before them: no name for the place behind them.
    place = f" {secrets.token_hex(4)}" if context.ledgers.pending(path) else ""
    edit = FieldEdit(
        id=f"{code} {file.oid} {digest_of(path)}{place}",
        path=path,
        line=f"{does} {request.path.model}",
        subject=path,
        fields=dict(step.fields),
        facts=dict(step.facts),
        guard={"status": _going_on(request)},
        base=base_of(file.there),
        wake=(request_key(path),),
    )
    done = context.effects.stage(context.requests, edit)
    return QueueCommandResult(code if done else "off", done, path, reason)


def _going_on(request: Request) -> tuple[str, ...]:
    """Every status in which a ruling stands; the file's own word among them, however it is written."""
    ours = tuple(status.value for status in Status if status.waits or status is Status.RUNNING)
    return tuple(dict.fromkeys((request.file.status, *ours)))


def _stage_pause(context: BoardContext, path: str, what: str, why: Hold | None, code: Code) -> QueueCommandResult:
    """One member of the file of pauses, so that two pauses at a time do not undo each other."""
    at = iso(context.now())
    line = f"{'Pause' if why is not None else 'Resume'} {what}"
    # Staged in this order they are applied in this order; where the file is there already, the first changes nothing.
    empty = PutFile(id=f"{code} {what} {at} room", path=path, data=b"{}\n", line=line, subject=path)
    fields = {what: why.model_dump() if why is not None else None}
    edit = FieldEdit(id=f"{code} {what} {at}", path=path, line=line, subject=path, fields=fields, wake=(PAUSED,))
    done = context.effects.stage(context.requests, empty, edit)
    return QueueCommandResult(code if done else "off", done, what)


def _pauses(context: BoardContext) -> tuple[str, dict[str, Hold]] | QueueCommandResult:
    """The path of the file of pauses, and what is paused by it and by all that was decided since; or why nobody can
    tell. One call, or two where there is no file at the present path.

    A file at the path of earlier versions is edited there, until it is moved (`bot.core.former_paths`): their
    processes, which may still run, go by it.
    """
    path = PAUSES
    try:
        file = read_pending(context, path, max_bytes=MAX_PAUSES)
        if file is None and (former := read_pending(context, FORMER_PAUSES, max_bytes=MAX_PAUSES)) is not None:
            path, file = FORMER_PAUSES, former
        return path, parse_pauses(file.data) if file is not None else {}
    except (BadPauses, TooLarge):
        return QueueCommandResult("bad-pauses", False, path)  # people write it by hand, too


def _hold(context: BoardContext, reason: str, by: str) -> Hold:
    return Hold(
        reason=" ".join(reason.split())[:MAX_REASON] or "no reason was given", by=by[:100], at=iso(context.now())
    )
