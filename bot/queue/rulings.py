"""Maintainers' rulings about the queue: cancel, hold, priority, pause. Each is one edit through the ledger.

All are idempotent: a ruling that already holds changes nothing and says so. They are based on the file as it will be
when all staged edits have landed, and an edit is void if the status changes before it lands. The sync that the edit
wakes updates Redis. The caller checks permissions.

Race closed: two maintainers give opposite rulings on one request before the first is committed. The second answer takes
the first ruling into account. If a third repeats the first ruling, it is a separate edit after the two: with the id of
the first it would replace that one.
Race accepted: they do so at the same instant, in two threads. Then both answers promise the change, and the edit that
was staged first decides.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

from bot.core.commands.answers import acting
from bot.core.commands.model import Answer, Call
from bot.core.context import BoardContext, request_key
from bot.core.render import Safe, render
from bot.ledger.edits import FieldEdit, PutFile
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
from redis_state.board.decisions import DecisionOutcome
from redis_state.board.pauses import PAUSED
from redis_state.clock import iso

Code = Literal[
    "cancelled",
    "cancelled-already",
    "over",
    "missing",
    "unreadable",
    "foreign",
    "held",
    "held-already",
    "unheld",
    "not-held",
    "priority",
    "priority-already",
    "paused",
    "paused-already",
    "resumed",
    "not-paused",
    "no-target",
    "bad-pauses",
    "off",
]
"""The possible results of a command; each is a sentence in `ruling.md.j2`."""
DONE: Mapping[Code, Code] = {
    "cancelled-already": "cancelled",
    "held-already": "held",
    "not-held": "unheld",
    "priority-already": "priority",
    "paused-already": "paused",
    "not-paused": "resumed",
}
"""Code of a result that changed nothing → code of the result that made the change."""


@dataclass(frozen=True)
class QueueCommandResult:
    """The result of a maintainer's command: `done` says whether it changes anything; `code` names the sentence."""

    code: Code
    done: bool
    what: str = ""
    reason: str = ""

    @property
    def outcome(self) -> DecisionOutcome:
        """The outcome for the record of decisions."""
        if self.done:
            return "done"
        return "unchanged" if self.code in DONE else "refused"

    @property
    def words(self) -> str:
        """The sentence, as Markdown."""
        return render("ruling", ruling=self).strip()


def queue_ruling(call: Call, rule: Callable[[], QueueCommandResult]) -> Answer:
    """Answer a command that decides about the queue. A change made before the bot died and restarted counts as done."""

    def act() -> Answer:
        ruling = rule()
        done = DONE.get(ruling.code) if call.resumed else None
        if done is not None:
            ruling = QueueCommandResult(done, True, ruling.what, ruling.reason)
        return Answer(Safe(ruling.words), outcome=ruling.outcome)

    return acting(act)


def cancel(context: BoardContext, path: str, reason: str, by: str) -> QueueCommandResult:
    """Withdraw the request at `path`, whether it waits, is in RQ or runs. An earlier result stays."""
    target = _open(context, path)
    if isinstance(target, QueueCommandResult):
        is_done = target.reason == Status.CANCELLED.value
        return QueueCommandResult("cancelled-already", False, path) if is_done else target
    request, file = target
    step = cancel_transition(_hold(context, reason, by), previous_result_of(request) or context.index.get(path).kept)
    return _stage(context, request, file, step, "Cancel", "cancelled")


def hold(context: BoardContext, path: str, reason: str, by: str) -> QueueCommandResult:
    """Keep the request at `path` from starting until `unhold`; a running evaluation continues."""
    target = _open(context, path)
    if isinstance(target, QueueCommandResult):
        return target
    request, file = target
    new, present = _hold(context, reason, by), request.file.steward.hold
    if present is not None and present.reason == new.reason:
        return QueueCommandResult("held-already", False, path)
    return _stage(context, request, file, hold_transition(new), "Hold", "held")


def unhold(context: BoardContext, path: str) -> QueueCommandResult:
    """Lift the hold of the request at `path`."""
    target = _open(context, path)
    if isinstance(target, QueueCommandResult):
        return target
    request, file = target
    if request.file.steward.hold is None:
        return QueueCommandResult("not-held", False, path)
    return _stage(context, request, file, hold_transition(None), "Lift the hold of", "unheld")


def set_priority(context: BoardContext, path: str, priority: Priority) -> QueueCommandResult:
    """Set the priority of the request at `path`: it starts before requests of lower priorities."""
    target = _open(context, path)
    if isinstance(target, QueueCommandResult):
        return target
    request, file = target
    if (request.file.steward.priority or "normal") == priority:
        return QueueCommandResult("priority-already", False, path, priority)
    step = priority_transition(priority)
    return _stage(context, request, file, step, f"Give {priority} priority to", "priority", priority)


def pause(context: BoardContext, target: str, reason: str, by: str) -> QueueCommandResult:
    """Start nothing of `target` (`board`, `tier:…`, `suite:…`) until `resume`; running evaluations continue."""
    if not is_target(target):
        return QueueCommandResult("no-target", False, target)
    file = _pauses(context)
    if isinstance(file, QueueCommandResult):
        return file
    path, pauses = file
    present, new = pauses.get(target), _hold(context, reason, by)
    if present is not None and present.reason == new.reason:
        return QueueCommandResult("paused-already", False, target)
    return _stage_pause(context, path, target, new, "paused")


def resume(context: BoardContext, target: str) -> QueueCommandResult:
    """End the pause of `target`."""
    if not is_target(target):
        return QueueCommandResult("no-target", False, target)
    file = _pauses(context)
    if isinstance(file, QueueCommandResult):
        return file
    path, pauses = file
    if target not in pauses:
        return QueueCommandResult("not-paused", False, target)
    return _stage_pause(context, path, target, None, "resumed")


def _open(context: BoardContext, path: str) -> tuple[Request, PendingFile] | QueueCommandResult:
    """The request at `path` with its file if it has not ended; else why no ruling on it is possible."""
    pending = pending_request(context, path)
    if isinstance(pending, str):
        return QueueCommandResult(pending, False, path)
    request, file = pending
    status = request.status
    if status is None or _is_foreign(context, request):
        return QueueCommandResult("foreign", False, path)
    if not status.waits and status is not Status.RUNNING:
        return QueueCommandResult("over", False, path, status.value)
    return request, file


def _is_foreign(context: BoardContext, request: Request) -> bool:
    """Whether another backend runs the request."""
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
    """Stage `step`, which is valid as long as the request has not ended."""
    path = str(request.path)
    # Behind other staged edits, the file may have the same content as before them: its oid does not identify the edit.
    suffix = f" {secrets.token_hex(4)}" if context.ledger.edits.is_pending(path) else ""
    edit = FieldEdit(
        id=f"{code} {file.oid} {digest_of(path)}{suffix}",
        path=path,
        line=f"{does} {request.path.model}",
        subject=path,
        fields=dict(step.fields),
        facts=dict(step.facts),
        guard={"status": _open_statuses(request)},
        base=base_of(file.there),
        wake=(request_key(path),),
    )
    done = context.effects.stage(context.requests, edit)
    return QueueCommandResult(code if done else "off", done, path, reason)


def _open_statuses(request: Request) -> tuple[str, ...]:
    """Every status in which a ruling is valid, including the present one as the file spells it."""
    ours = tuple(status.value for status in Status if status.waits or status is Status.RUNNING)
    return tuple(dict.fromkeys((request.file.status, *ours)))


def _stage_pause(context: BoardContext, path: str, target: str, new: Hold | None, code: Code) -> QueueCommandResult:
    """Stage `new` as the pause of `target` (None: no pause): one field of the file, so other pauses do not collide."""
    at = iso(context.now())
    line = f"{'Pause' if new is not None else 'Resume'} {target}"
    # Edits are applied in this order; if the file exists, the first one changes nothing.
    empty = PutFile(id=f"{code} {target} {at} room", path=path, data=b"{}\n", line=line, subject=path)
    fields = {target: new.model_dump() if new is not None else None}
    edit = FieldEdit(id=f"{code} {target} {at}", path=path, line=line, subject=path, fields=fields, wake=(PAUSED,))
    done = context.effects.stage(context.requests, empty, edit)
    return QueueCommandResult(code if done else "off", done, target)


def _pauses(context: BoardContext) -> tuple[str, dict[str, Hold]] | QueueCommandResult:
    """The path of the file of pauses, and the pauses in it with staged edits applied; or why it is unreadable.

    One call, or two if there is no file at the present path. A file at the path of earlier versions is edited there
    until it is moved (`bot.core.former_paths`), because their processes, which may still run, read it.
    """
    path = PAUSES
    try:
        file = read_pending(context, path, max_bytes=MAX_PAUSES)
        if file is None and (former := read_pending(context, FORMER_PAUSES, max_bytes=MAX_PAUSES)) is not None:
            path, file = FORMER_PAUSES, former
        return path, parse_pauses(file.data) if file is not None else {}
    except (BadPauses, TooLarge):
        return QueueCommandResult("bad-pauses", False, path)  # people may edit it by hand


def _hold(context: BoardContext, reason: str, by: str) -> Hold:
    return Hold(
        reason=" ".join(reason.split())[:MAX_REASON] or "no reason was given", by=by[:100], at=iso(context.now())
    )
