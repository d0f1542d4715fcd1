"""Write flag records and their tables in one commit, so that every reader of the repo finds them in agreement."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

from bot.core.context import BoardContext
from bot.intake.deliveries import FLAGS
from bot.ledger.edits import AnyEdit, PutFile, RestoreFile, blob_id
from leaderboard.flags import FlagRecord, compile_tables, parse_record, record_path, renamed


def stage(context: BoardContext, records: Iterable[FlagRecord], cause: str, action: str) -> bool:
    """Stage the records, each once for its model and `cause`, and the tables that follow from them.

    `action` begins the line of the commit message. Return False where edits are off or in shadow on this board.
    """
    assert context.flags_repo is not None
    records = list(records)
    edits = [edit for record in records for edit in edits_of(context, record, cause, f"{action} {record.model}")]
    if not edits:
        return True
    replaced = {record.path for record in records} | {old.path for record in records for old in _old(context, record)}
    others = [record for record in context.flag_book.records() if record.path not in replaced]
    return context.effects.stage(context.flags_repo, *edits, *table_edits(context, [*others, *records]))


def rename(context: BoardContext, old: str, new: str, cause: str) -> None:
    """Move the flag of `old` to `new`, the model's name now, and join it with a flag that `new` has."""
    if all(record.model == new for record in context.flag_book.of([old])):
        return
    stage(context, [renamed(context.flag_book.of([old, new]), new)], cause, "Rename")


def present_records(context: BoardContext, model: str, also: Iterable[str]) -> tuple[FlagRecord, ...]:
    """The records of a model by its names, with a change of its own record that is staged and has not landed."""
    assert context.flags_repo is not None
    known, path = context.flag_book.of([model, *also]), record_path(model)
    data = context.ledger.edits.content_after(context.flags_repo, path, None)
    staged = parse_record(path, data) if data is not None else None
    if not isinstance(staged, FlagRecord):
        return known
    return (staged, *(record for record in known if record.path != path))


def edits_of(context: BoardContext, record: FlagRecord, cause: str, line: str) -> list[AnyEdit]:
    """The edits that write `record`: its file, and the removal of its file under another name."""
    name, path, written = f"flag {cause} {record.model}"[:280], record.path, record.dump()
    edits: list[AnyEdit] = [
        PutFile(id=name, path=path, subject=path, data=written, line=line[:400], unless_exists=False, wake=(FLAGS,))
    ]
    for old in _old(context, record):
        data = context.flag_book.file(old.path)
        if data is not None:
            left = blob_id(data)
            edits.append(RestoreFile(id=f"{name} moved", path=old.path, data=None, left=left, line=line[:400]))
    return edits


def _old(context: BoardContext, record: FlagRecord) -> list[FlagRecord]:
    """Records of the same model at other paths."""
    return [old for old in context.flag_book.of(record.names) if old.path != record.path]


def table_edits(context: BoardContext, records: Iterable[FlagRecord]) -> list[AnyEdit]:
    """The edits that bring the tables in step with `records`; none where they are."""
    edits: list[AnyEdit] = []
    for path, data in compile_tables(records).items():
        if context.flag_book.file(path) != data:
            name = f"table {path} {hashlib.sha256(data).hexdigest()[:16]}"
            line = "Compile the flags"
            edits.append(PutFile(id=name, path=path, data=data, line=line, unless_exists=False, wake=(FLAGS,)))
    return edits
