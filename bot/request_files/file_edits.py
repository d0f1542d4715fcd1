"""Changing a request file: staged with the ledger, for as long as what the decision rests on stays as it was read.

People decide one after the other, and faster than commits may follow. So what a person wants is decided by the file as
it will be when all that was decided before has landed (`read_ahead`).

Race accepted: two people decide in two threads at the same instant. The edit of the second may turn out to be void, and
they were told that it would be done.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from bot.core.context import BoardContext, request_key
from bot.ledger.edits import EditBase, FieldEdit, blob_id, guard_of
from hub.errors import TooLarge
from hub.records import File
from leaderboard.effects import Effect
from leaderboard.requests import Request, parse_request
from leaderboard.transitions import RESTS_ON, Transition


@dataclass(frozen=True)
class PendingFile:
    """A file as it will be once all that is staged for it has landed; `there` is the one on the Hub, if any."""

    data: bytes
    there: File | None

    @property
    def oid(self) -> str:
        """The git blob id that it will have."""
        return blob_id(self.data)


def read_pending(context: BoardContext, path: str, *, max_bytes: int) -> PendingFile | None:
    """The file `path` of the requests repo, with all that was decided about it; None where there will be none.

    One call. Raises TooLarge, and HubError.
    """
    there = context.hub.find_file(context.requests, path, max_bytes=max_bytes)
    data = context.ledgers.ahead(context.requests, path, there)
    return PendingFile(data, there) if data is not None else None


def pending_request(context: BoardContext, path: str) -> tuple[Request, PendingFile] | Literal["missing", "unreadable"]:
    """The request at `path` as it will be, with its file; else why there is none. One call. Raises HubError."""
    try:
        file = read_pending(context, path, max_bytes=context.board.max_request_bytes)
    except TooLarge:
        return "unreadable"
    if file is None:
        return "missing"
    request = parse_request(path, file.data)
    return (request, file) if isinstance(request, Request) else "unreadable"


def digest_of(path: str) -> str:
    """A short name of the file `path`, for ids of edits: an id that does not say which file it is about is one edit,
    however many files it is staged for."""
    return hashlib.sha256(path.encode(errors="surrogateescape")).hexdigest()[:12]


def base_of(file: File | None) -> EditBase | None:
    """What an edit rests on, so that the file need not be read again."""
    return EditBase(data=file.data, commit=file.commit, oid=file.oid) if file is not None else None


def stage_transition(
    context: BoardContext,
    request: Request,
    file: File | None,
    step: Transition,
    *,
    name: str,
    line: str,
    rests_on: Sequence[str] = RESTS_ON,
    after: Sequence[str] = (),
    effect: Effect = Effect.EDIT,
) -> bool:
    """Have `step` written to the file of `request`, of which `file` is what lies on the Hub, once `after` have landed.

    Who submitted it goes along, whether not everybody may see its model, and the digest of its weights: from then on
    the newest commit of the file is ours, and does not tell any more.
    `name` counts once. When the edit has landed, or is void for a field in `rests_on` changed, the request is dirty.
    False where the board lets no such `effect` happen: nothing will land, and nobody be told.
    """
    known = known_facts(context, request)
    edit = transition_edit(request, file, step, name=name, line=line, known=known, rests_on=rests_on, after=after)
    return context.effects.stage(context.requests, edit, effect=effect)


def transition_edit(
    request: Request,
    file: File | None,
    step: Transition,
    *,
    name: str,
    line: str,
    known: Mapping[str, Any],
    rests_on: Sequence[str] = RESTS_ON,
    after: Sequence[str] = (),
) -> FieldEdit:
    """The edit that `stage_transition` stages, for whoever stages many at once; `known` goes along with `step`."""
    path = str(request.path)
    return FieldEdit(
        id=name,
        path=path,
        line=line,
        subject=path,
        fields=dict(step.fields),
        facts={**step.facts, **known},
        guard=guard_of(request.raw, *rests_on),
        base=base_of(file),
        after=tuple(after),
        wake=(request_key(path),),
    )


def known_facts(context: BoardContext, request: Request) -> dict[str, Any]:
    """What we know of the request beside the step, and would not know any more after Redis was lost."""
    path = str(request.path)
    submitter = context.index.origin(path).submitter(request.file.sender)
    # After Redis was lost it is not known who submitted what is at its end: then it stays as the file has it.
    known: dict[str, Any] = {"submitter": submitter} if submitter else {}
    if context.board.budgets.by_request is not None:
        known["gpu_seconds"] = round(max(context.measures.spent_by(path), request.file.steward.gpu_seconds), 1)
    entry = context.index.get(path)
    access = entry.standing.access
    if entry.weights and access != "private":
        known["weights"] = entry.weights
    return {**known, "access": access if access != "public" else None}
