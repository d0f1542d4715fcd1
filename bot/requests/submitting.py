"""Submission of a model, or of a newer commit of it, by a command: checked first, then one edit through the ledger.

Race closed: two people submit the same at once. The file is written unless it exists, and the second finds it there.
Race closed: a resubmission rests on the status that was read. A request that a worker claimed meanwhile stays as it is.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal

from bot.core.context import BoardContext, request_key
from bot.ledger.edits import PutFile
from bot.model_facts import checking
from bot.model_facts.checking import gather_submission
from bot.read_models.submit_models import Code
from bot.request_files.attempt_numbers import known_numbers
from bot.request_files.file_edits import PendingFile, digest_of, pending_request, stage_transition
from leaderboard import transitions
from leaderboard.admission.facts import ModelFacts
from leaderboard.admission.rules import Verdict
from leaderboard.admission.sizes import BILLION, parameters
from leaderboard.categories import read_category
from leaderboard.effects import Effect
from leaderboard.predictions import PREDICTIONS
from leaderboard.reasons import Problem
from leaderboard.requests import Request, Status
from leaderboard.submissions import SETTLED
from redis_state.board.entry import IndexEntry
from redis_state.clock import iso

How = Code | Literal["running", "same", "missing"]
QUOTAS = frozenset({"quota-submitter", "quota-organisation"})
_COMMIT = re.compile(r"[0-9a-f]{40}")


@dataclass(frozen=True)
class SubmitCommand:
    """The model that a person wants evaluated, and how."""

    model: str
    revision: str
    precision: str
    weight_type: str
    base_model: str
    use_chat_template: bool
    submitter: str
    submitter_id: str
    model_type: str = ""
    """The category; "" where the person names none."""


@dataclass(frozen=True)
class SubmitResult:
    """The result of a submission: `how` selects the sentence, `reasons` say why it was refused.

    `status` is that of an existing request, `sha` the commit, if it was resolved. `stays` names the fields in which
    an existing request differs from the command; they are not changed.
    """

    how: How
    model: str
    path: str = ""
    reasons: tuple[Problem, ...] = ()
    status: str = ""
    sha: str = ""
    stays: tuple[str, ...] = ()


def submit(
    context: BoardContext, command: SubmitCommand, *, cause: str, may_resubmit: Callable[[IndexEntry], bool]
) -> SubmitResult:
    """Stage the request file for `command` if the model passes every check.

    If a request for another commit has ended, or one was cancelled, it is reopened, provided that the submitter
    `may_resubmit` it.
    """
    request = checking.as_request(
        command.model,
        revision=command.revision,
        precision=command.precision,
        weight_type=command.weight_type,
        base_model=command.base_model,
        model_type=command.model_type,
        use_chat_template=command.use_chat_template,
    )
    if isinstance(request, Problem):
        return SubmitResult("refused", command.model, reasons=(request,))
    path = str(request.path)
    pending = pending_request(context, path)
    if pending == "unreadable":
        return SubmitResult(pending, command.model, path)
    if pending != "missing":
        return replace(
            _submit_again(context, command, *pending, cause, may_resubmit),
            stays=_differing_fields(command, pending[0]),
        )
    submission = gather_submission(context, request, command.submitter)
    verdict = checking.verdict_in_public(context, submission)
    if not verdict.accepted or verdict.sha is None:
        return _refused(request, verdict)
    sha = verdict.sha
    fields = _fields(context, request, command, sha, cause) | {"params": _billions(submission.model, request)}
    data = json.dumps(fields, ensure_ascii=True).encode()
    line = f"Add {command.model} to eval queue"
    edit = PutFile(id=f"submit {cause}", path=path, data=data, line=line, subject=path, wake=(request_key(path),))
    done = context.effects.stage(context.requests, edit)
    return SubmitResult("submitted" if done else "off", command.model, path, sha=sha)


def _submit_again(
    context: BoardContext,
    command: SubmitCommand,
    known: Request,
    file: PendingFile,
    cause: str,
    may_resubmit: Callable[[IndexEntry], bool],
) -> SubmitResult:
    """Submit a model that has a request already: an ended request is reopened for another commit, a cancelled one for
    any.

    It is checked, and counts, like a new one: the earlier verdict says nothing about newer commits. A request whose
    model was removed from the board stays as it is.
    """
    path, causes, reopening = str(known.path), known.file.steward.causes, f"resubmit:{cause}"
    unchanged = SubmitResult(
        "submitted" if cause in causes else "exists", command.model, path, status=known.file.status
    )
    if known.status not in SETTLED:
        is_again = any(earlier.startswith(f"{reopening}:") for earlier in causes)
        return replace(unchanged, how="resubmitted") if is_again else unchanged
    (entry,) = context.index.find([path])
    if entry is None or entry.standing.removed or not may_resubmit(entry):
        return unchanged
    ended_with = _ended_with(known, entry)
    if not ended_with and known.status is Status.FINISHED:
        return unchanged  # only a person can tell whether it is another commit
    wanted = known.at(command.revision).as_new(iso(context.now()))
    verdict = _checked(context, wanted, command.submitter)
    if verdict.sha is not None and verdict.sha == ended_with:
        return replace(unchanged, sha=verdict.sha)
    if not verdict.accepted or verdict.sha is None:
        return _refused(known, verdict)
    withdrawal = known.file.steward.cancelled if known.status is Status.CANCELLED else None
    # A request may be cancelled and submitted by the same program more than once.
    once = verdict.sha[:8] if withdrawal is None else f"{verdict.sha[:8]}:{withdrawal.at}"
    return _reopen(context, known, wanted, file, entry, verdict.sha, f"{reopening}:{once}")


def _ended_with(known: Request, entry: IndexEntry) -> str:
    """The commit that was, or should have been, evaluated; "" if unknown, as for results from before Steward, and for a
    cancelled request, which may be submitted again at its commit."""
    if known.status is Status.CANCELLED:
        return ""
    commit = known.file.steward.revision or entry.sha or known.file.revision or ""
    return commit if _COMMIT.fullmatch(commit) else ""


def _differing_fields(command: SubmitCommand, known: Request) -> tuple[str, ...]:
    """The fields in which the request differs from `command`; one without base model or category accepts any."""
    has_other_base = bool(command.base_model) and command.base_model != known.file.base_model
    has_other_template = command.use_chat_template != bool(known.file.use_chat_template)
    has_other_type = bool(command.model_type) and command.model_type != read_category(known.file.model_type).value
    return (
        *(("base model",) if has_other_base else ()),
        *(("type",) if has_other_type else ()),
        *(("use of a chat template",) if has_other_template else ()),
    )


def _checked(context: BoardContext, request: Request, submitter: str) -> Verdict:
    """The verdict on the request, without facts that are not public."""
    return checking.verdict_in_public(context, gather_submission(context, request, submitter))


def _refused(request: Request, verdict: Verdict) -> SubmitResult:
    how: How = "quota" if all(reason.code in QUOTAS for reason in verdict.reasons) else "refused"
    return SubmitResult(how, request.path.model, str(request.path), reasons=verdict.reasons)


def _fields(context: BoardContext, request: Request, command: SubmitCommand, sha: str, cause: str) -> dict[str, object]:
    """The fields that front ends write, in their order, and the submitter."""
    return {
        "model": command.model,
        "base_model": command.base_model,
        "revision": sha,
        "precision": request.path.precision,
        "weight_type": request.path.weight_type,
        "architectures": "?",
        "status": Status.PENDING.value,
        "submitted_time": iso(context.now()),
        "model_type": command.model_type or "?",
        "params": 0,
        "job_id": -1,
        "job_start_time": None,
        "use_chat_template": command.use_chat_template,
        "sender": command.submitter,
        "steward": {"submitter": command.submitter, "submitter_id": command.submitter_id, "causes": [cause]},
    }


def _billions(model: ModelFacts, request: Request) -> float:
    """The model's size as front ends write it, in billions of parameters; 0 if it is unknown, or not public."""
    counted = None if model.is_private else parameters(model, request.path.weight_type)
    return round((counted or 0) / BILLION, 6)


def resubmit(
    context: BoardContext, entry: IndexEntry, *, revision: str, submitter: str, cause: str, counts: bool
) -> SubmitResult:
    """Stage an edit that makes the request of `entry` wait again at `revision`, if that is another commit and passes
    every check.

    With `counts`, the quotas count it as a new submission of an ended request; a cancelled one that no worker claimed
    did not count meanwhile. As with `submit`, the commit that the request ended with is not evaluated again: that is a
    relaunch.
    """
    path = entry.path
    pending = pending_request(context, path)
    if isinstance(pending, str):
        return SubmitResult(pending, entry.model, path)
    known, file = pending
    if known.status is None:
        return SubmitResult("unreadable", entry.model, path)
    if known.path.precision == PREDICTIONS:
        return SubmitResult("refused", entry.model, path, reasons=(checking.by_file(),))
    model, status = known.path.model, known.file.status
    if cause in known.file.steward.causes:
        return SubmitResult("resubmitted", model, path)
    if known.status is Status.RUNNING:
        return SubmitResult("running", model, path, status=status)
    wanted = known.at(revision)
    if counts and known.status in SETTLED:
        wanted = wanted.as_new(iso(context.now()))
    verdict = _checked(context, wanted, submitter)
    if known.status in SETTLED and verdict.sha is not None and verdict.sha == _ended_with(known, entry):
        return SubmitResult("exists", model, path, status=status, sha=verdict.sha)
    if not verdict.accepted or verdict.sha is None:
        return _refused(known, verdict)
    if known.status.waits and verdict.sha == (known.file.steward.revision or entry.sha):
        return SubmitResult("same", model, path, status=status, sha=verdict.sha)
    return _reopen(context, known, wanted, file, entry, verdict.sha, cause)


def _reopen(
    context: BoardContext, known: Request, wanted: Request, file: PendingFile, entry: IndexEntry, sha: str, cause: str
) -> SubmitResult:
    """Stage an edit that makes the request `known` wait at the accepted commit `sha`, with the time of the submission
    `wanted`, unless `cause` has reopened it before."""
    model, path = known.path.model, str(known.path)
    step = transitions.resubmit_transition(known, revision=sha, cause=cause, used=known_numbers(context, known, entry))
    if step is None:
        return SubmitResult("resubmitted", model, path, sha=sha)
    step = step.submitted_at(wanted.file.submitted_time)
    name, line = f"resubmit {cause} {digest_of(path)}", f"Evaluate {model} at {sha[:8]}"
    if not stage_transition(context, known, file.there, step, name=name, line=line, effect=Effect.RELAUNCH):
        return SubmitResult("off", model, path, status=known.file.status)
    status = context.board.listed(Status(step.fields["status"]))
    return SubmitResult("resubmitted", model, path, status=status.value, sha=sha)
