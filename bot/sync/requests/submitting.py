"""A person submits a model, or a newer commit of it, by a command: checked first, then one edit by way of the ledger.

Race closed: two people submit the same at once. The file is written unless there is one, and the second finds it there.
Race closed: a resubmission rests on the status that was read. A request that was taken up meanwhile stays as it is.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Literal

from bot import checking
from bot.desk import Desk, request_key
from bot.facts import gather_submission
from bot.state.index import Entry
from bot.sync.requests.edits import digest_of, request_ahead, stage_transition
from bot.sync.requests.numbers import known_numbers
from hub.edits import PutFile
from leaderboard import transitions
from leaderboard.effects import Effect
from leaderboard.requests import Problem, Request, Status
from wire.clock import iso

How = Literal["submitted", "resubmitted", "refused", "exists", "under-way", "same", "missing", "unreadable", "off"]


@dataclass(frozen=True)
class Wish:
    """What somebody wants to have evaluated."""

    model: str
    revision: str
    precision: str
    weight_type: str
    base_model: str
    use_chat_template: bool
    submitter: str


@dataclass(frozen=True)
class Submitted:
    """What came of it: `how` names the sentence; `reasons` why it was refused; `status` what there is already."""

    how: How
    model: str
    path: str = ""
    reasons: tuple[Problem, ...] = ()
    status: str = ""
    sha: str = ""


def submit(desk: Desk, wish: Wish, *, cause: str) -> Submitted:
    """Write the request file for `wish`, if there is none and the model passes every check."""
    asked = checking.as_request(
        wish.model, revision=wish.revision, precision=wish.precision, weight_type=wish.weight_type
    )
    if isinstance(asked, Problem):
        return Submitted("refused", wish.model, reasons=(asked,))
    request = Request(asked.path, asked.file.model_copy(update=_asked(wish)), asked.raw)
    path = str(request.path)
    found = request_ahead(desk, path)
    if found == "unreadable":
        return Submitted(found, wish.model, path)
    if found != "missing":
        known, _ = found
        ours = cause in known.file.steward.causes
        return Submitted("submitted" if ours else "exists", wish.model, path, status=known.file.status)
    refused, sha = _refused(desk, request, wish.submitter)
    if refused is not None:
        return refused
    data = json.dumps(_fields(desk, request, wish, sha, cause), ensure_ascii=True).encode()
    line = f"Add {wish.model} to eval queue"
    edit = PutFile(id=f"submit {cause}", path=path, data=data, line=line, subject=path, wake=(request_key(path),))
    done = desk.effects.stage(desk.requests, edit)
    return Submitted("submitted" if done else "off", wish.model, path, sha=sha)


def _asked(wish: Wish) -> dict[str, object]:
    return {"base_model": wish.base_model, "use_chat_template": wish.use_chat_template}


def _refused(desk: Desk, request: Request, submitter: str) -> tuple[Submitted | None, str]:
    """Why the request would be refused, as everybody may know it; else the commit at which it is accepted."""
    verdict = checking.verdict_in_public(desk, gather_submission(desk, request, submitter))
    if verdict.accepted and verdict.sha is not None:
        return None, verdict.sha
    return Submitted("refused", request.path.model, str(request.path), reasons=verdict.reasons), ""


def _fields(desk: Desk, request: Request, wish: Wish, sha: str, cause: str) -> dict[str, object]:
    """The fields that front ends write, in their order, and who submitted it."""
    return {
        "model": wish.model,
        "base_model": wish.base_model,
        "revision": sha,
        "precision": request.path.precision,
        "weight_type": request.path.weight_type,
        "architectures": "?",
        "status": Status.PENDING.value,
        "submitted_time": iso(desk.now()),
        "model_type": "?",
        "params": 0,
        "job_id": -1,
        "job_start_time": None,
        "use_chat_template": wish.use_chat_template,
        "sender": wish.submitter,
        "steward": {"submitter": wish.submitter, "causes": [cause]},
    }


def resubmit(desk: Desk, entry: Entry, *, revision: str, submitter: str, cause: str) -> Submitted:
    """Have the request of `entry` wait again at `revision`, if that is another commit and passes every check."""
    path = entry.path
    found = request_ahead(desk, path)
    if isinstance(found, str):
        return Submitted(found, entry.model, path)
    known, file = found
    if known.status is None:
        return Submitted("unreadable", entry.model, path)
    model, status = known.path.model, known.file.status
    if cause in known.file.steward.causes:
        return Submitted("resubmitted", model, path)
    if known.status is Status.RUNNING:
        return Submitted("under-way", model, path, status=status)
    wanted = known.file.model_copy(update={"revision": revision})
    refused, sha = _refused(desk, Request(known.path, wanted, known.raw), submitter)
    if refused is not None:
        return refused
    if known.status.waits and sha == (known.file.steward.revision or entry.sha):
        return Submitted("same", model, path, status=status, sha=sha)
    step = transitions.resubmitted(known, revision=sha, cause=cause, used=known_numbers(desk, known, entry))
    if step is None:
        return Submitted("resubmitted", model, path, sha=sha)  # this cause has done so before
    name, line = f"resubmit {cause} {digest_of(path)}", f"Evaluate {model} at {sha[:8]}"
    if not stage_transition(desk, known, file.there, step, name=name, line=line, effect=Effect.RELAUNCH):
        return Submitted("off", model, path, status=status)
    return Submitted("resubmitted", model, path, sha=sha)
