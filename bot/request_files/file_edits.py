"""Edits of request files, staged with the ledger; an edit is void if a field that its decision rests on has changed.

People decide faster than commits may follow. So a decision is based on the file as it will be when all edits that are
staged for it have landed (`read_pending`).

Race accepted: two people decide in two threads at the same instant. The edit of the second may turn out to be void
although the reply promised it.
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
from leaderboard.boards import Board
from leaderboard.effects import Effect
from leaderboard.requests import Request, Status, parse_request
from leaderboard.transitions import RESTS_ON, Transition


@dataclass(frozen=True)
class PendingFile:
    """A file as it will be when all its staged edits have landed; `there` is the file on the Hub, if any."""

    data: bytes
    there: File | None

    @property
    def oid(self) -> str:
        """The git blob id of the future content."""
        return blob_id(self.data)


def read_pending(context: BoardContext, path: str, *, max_bytes: int) -> PendingFile | None:
    """The file `path` of the requests repo with its staged edits applied; None if there will be no file.

    One call. Raises TooLarge and HubError.
    """
    there = context.hub.find_file(context.requests, path, max_bytes=max_bytes, confirm=False)  # the ledger compares
    data = context.ledger.edits.content_after(context.requests, path, there)
    return PendingFile(data, there) if data is not None else None


def pending_request(context: BoardContext, path: str) -> tuple[Request, PendingFile] | Literal["missing", "unreadable"]:
    """The request at `path` with staged edits applied, and its file; else why there is none. One call.

    Raises HubError.
    """
    try:
        file = read_pending(context, path, max_bytes=context.board.max_request_bytes)
    except TooLarge:
        return "unreadable"
    if file is None:
        return "missing"
    request = parse_request(path, file.data)
    return (request, file) if isinstance(request, Request) else "unreadable"


def digest_of(path: str) -> str:
    """A short digest of `path` for ids of edits. Without it, edits of several files could share one id, and the ledger
    keeps one edit for each id."""
    return hashlib.sha256(path.encode(errors="surrogateescape")).hexdigest()[:12]


def base_of(file: File | None) -> EditBase | None:
    """The file that an edit is based on, so that the ledger need not read it again."""
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
    """Stage the edit that writes `step` to the file of `request` once the edits `after` have landed.

    `file` is the file on the Hub. The edit also writes the submitter, the access to the model and the digest of its
    weights: the newest commit of the file is then the bot's, and no longer shows them.
    An edit of the same `name` is staged once. The request is marked dirty when the edit has landed, or is void because
    a field in `rests_on` changed. Returns False if the board does not allow `effect`: then nothing will land or be
    marked.
    """
    extra = known_facts(context, request)
    edit = transition_edit(
        context.board, request, file, step, name=name, line=line, known=extra, rests_on=rests_on, after=after
    )
    return context.effects.stage(context.requests, edit, effect=effect)


def transition_edit(
    board: Board,
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
    """The edit that `stage_transition` stages, for callers that stage many at once. It writes `known` beside `step`."""
    path, fields = str(request.path), dict(step.fields)
    if "status" in fields:
        fields["status"] = board.listed(Status(fields["status"])).value
    return FieldEdit(
        id=name,
        path=path,
        line=line,
        subject=path,
        fields=fields,
        facts={**step.facts, **known},
        guard=guard_of(request.raw, *rests_on),
        base=base_of(file),
        after=tuple(after),
        wake=(request_key(path),),
    )


def known_facts(context: BoardContext, request: Request) -> dict[str, object]:
    """Facts about the request that only Redis holds, to be written into its file with the next step."""
    path = str(request.path)
    origin = context.index.origin(path)
    submitter = origin.submitter(request.file.sender)
    # After Redis was lost, the submitter of an ended request is unknown: the file's own value stays.
    facts: dict[str, Any] = {"submitter": submitter, "submitter_id": origin.submitter_id or None} if submitter else {}
    if context.board.budgets.by_request is not None:
        facts["gpu_seconds"] = round(max(context.measures.spent_by(path), request.file.steward.gpu_seconds), 1)
    entry = context.index.get(path)
    access = entry.standing.access
    if entry.weights and access != "private":
        facts["weights"] = entry.weights
    return {**facts, "access": access if access != "public" else None}
