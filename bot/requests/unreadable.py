"""Files at the path of a request that cannot be read as one: refused with every reason, without blocking others."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from bot.core.context import BoardContext, request_key
from bot.ledger.edits import EditBase, FieldEdit
from bot.request_files.file_edits import digest_of
from bot.request_files.status_thread import update_status
from bot.request_files.status_views import view_of_unreadable
from hub.records import File
from leaderboard.admission.rules import refusal
from leaderboard.dialects import foreign_dialect
from leaderboard.jsontext import object_in
from leaderboard.requests import Problem, Status
from leaderboard.transitions import fail_transition
from redis_state.board.entry import IndexEntry
from redis_state.board.request_snapshot import snapshot_of_unreadable


def refuse_unreadable(context: BoardContext, entry: IndexEntry, file: File | None, problems: Sequence[Problem]) -> None:
    """Report every problem in the thread, and in the file if it is an object that waits for an evaluation.

    An object with another status is an old file in an unknown dialect, or was refused before: it stays as it is, and so
    does a file that was written for another backend.
    """
    fields = object_in(file.data) if file is not None else None
    snapshot = snapshot_of_unreadable(file.data if file is not None else None)
    entry = entry.changed(standing=snapshot)
    if fields is not None and (foreign_dialect(entry.path, fields) or not _waits(fields)):
        context.index.put(entry.changed(state="settled" if entry.said else "foreign", job=None))
        return
    entry = entry.changed(standing=snapshot.failed_with(refusal(tuple(problems))))
    view = view_of_unreadable(context, entry, problems, writable=fields is not None)
    entry = update_status(context, entry, view)
    context.index.put(entry.changed(state="settled", job=None))
    if fields is not None and file is not None:
        _stage(context, entry, file, problems)


def _stage(context: BoardContext, entry: IndexEntry, file: File, problems: Sequence[Problem]) -> None:
    """Stage the refusal. It changes only the status and the bot's own object, and only in the version that was read."""
    step = fail_transition(failure=refusal(tuple(problems)), log=None, thread=entry.thread)
    edit = FieldEdit(
        id=f"refuse {file.oid} {digest_of(entry.path)}",
        path=entry.path,
        line=f"Refuse {entry.path}"[:400],
        subject=entry.path,
        fields=dict(step.fields),
        facts=dict(step.facts),
        whole=file.oid,
        base=EditBase(data=file.data, commit=file.commit, oid=file.oid),
        wake=(request_key(entry.path),),
    )
    context.effects.stage(context.requests, edit)


def _waits(fields: dict[str, Any]) -> bool:
    status = fields.get("status")
    word = status.strip().upper() if isinstance(status, str) else "PENDING"
    return word in Status.__members__ and Status(word).waits
