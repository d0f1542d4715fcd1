"""Changing a request file: staged with the ledger, for as long as what the decision rests on stays as it was read."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from bot.desk import Desk, request_key
from hub.edits import Base, FieldEdit, guard_of
from hub.records import File
from leaderboard.effects import Effect
from leaderboard.requests import Request
from leaderboard.transitions import RESTS_ON, Transition


def stage_transition(
    desk: Desk,
    request: Request,
    file: File,
    step: Transition,
    *,
    name: str,
    line: str,
    rests_on: Sequence[str] = RESTS_ON,
    after: Sequence[str] = (),
    effect: Effect = Effect.EDIT,
) -> bool:
    """Have `step` written to the file of `request`, as it was read in `file`, once the edits `after` have landed.

    Who submitted it goes along, whether not everybody may see its model, and the digest of its weights: from then on
    the newest commit of the file is ours, and does not tell any more.
    `name` counts once. When the edit has landed, or is void for a field in `rests_on` changed, the request is dirty.
    False where the board lets no such `effect` happen: nothing will land, and nobody be told.
    """
    path = str(request.path)
    edit = FieldEdit(
        id=name,
        path=path,
        line=line,
        subject=path,
        fields=dict(step.fields),
        facts={**step.facts, **_known(desk, request)},
        guard=guard_of(request.raw, *rests_on),
        base=Base(data=file.data, commit=file.commit, oid=file.oid),
        after=tuple(after),
        wake=(request_key(path),),
    )
    return desk.effects.stage(desk.requests, edit, effect=effect)


def _known(desk: Desk, request: Request) -> dict[str, Any]:
    """What we know of the request beside the step, and would not know any more after Redis was lost."""
    path = str(request.path)
    known: dict[str, Any] = {"submitter": desk.index.origin(path).submitter(request.file.sender) or None}
    if desk.board.budgets.by_request is not None:
        known["gpu_seconds"] = round(max(desk.measures.spent_by(path), request.file.steward.gpu_seconds), 1)
    entry = desk.index.get(path)
    access = entry.standing.access
    if entry.weights and access != "private":
        known["weights"] = entry.weights
    return {**known, "access": access if access != "public" else None}
