"""The log of all decisions, a file for each month in the logs repo, made of the files of the single ones, once a day.

    decisions/2026/11/25/{comment}-{n}.json    one decision, written when it was made
    decisions/2026/11/all.jsonl                those of a month, a line each

After Redis was lost the day's call comes at once, and what is listed comes back from these files: one call for a
thousand of them, one for the month, and one for each decision that it does not hold yet.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

import structlog

from bot.core.context import BoardContext
from bot.core.decision_records import FOLDER
from bot.ledger.edits import PutFile
from hub.errors import NotFound
from hub.records import FileEntry
from redis_state.board.decisions import CommandDecision, parse

log = structlog.get_logger()

DECISIONS, COMPILED = "decisions", "all.jsonl"
MAX_MONTH, MAX_ONE, MAX_READ = 8_000_000, 100_000, 300
"""Bytes of the log of a month and of one decision, and single files that are read at a time."""


def sync_decisions(context: BoardContext) -> float | None:
    """Know what was decided lately, and have the log of each month hold all of it."""
    today = datetime.fromtimestamp(context.now(), UTC)
    # On the first days of a month that before may still lack what was decided on its last.
    for month in sorted({f"{day:%Y/%m}" for day in (today - timedelta(days=2), today)}):
        _sync_month(context, month)
    return None


def _sync_month(context: BoardContext, month: str) -> None:
    try:
        listed = context.hub.list_files(context.logs, folder=f"{FOLDER}/{month}")
    except NotFound:
        listed = []
    compiled = next((entry for entry in listed if entry.path == f"{FOLDER}/{month}/{COMPILED}"), None)
    written = _read(context, compiled, MAX_MONTH) if compiled is not None else ""
    known = {one.id: one for line in written.splitlines() if (one := parse(line)) is not None}
    context.decisions.put(*known.values())
    missing = [entry for entry in listed if entry != compiled and _id(entry) not in known]
    seen = context.decisions.known(map(_id, missing))
    _take_up(context, (entry for entry in missing if _id(entry) not in seen))
    start = datetime.strptime(month, "%Y/%m").replace(tzinfo=UTC)
    end = (start + timedelta(days=32)).replace(day=1)
    known |= {one.id: one for one in context.decisions.between(start.timestamp(), end.timestamp())}
    _write(context, month, written, known.values())


def _id(entry: FileEntry) -> str:
    return entry.path.rpartition("/")[2].removesuffix(".json")


def _read(context: BoardContext, entry: FileEntry, most: int) -> str:
    if entry.size > most:
        return ""
    return context.hub.read_file(context.logs, entry.path, max_bytes=most).data.decode("utf-8", "replace")


def _take_up(context: BoardContext, entries: Iterable[FileEntry]) -> None:
    """Read what was decided since the month was compiled last, the newest first."""
    for entry in sorted(entries, key=lambda one: one.path, reverse=True)[:MAX_READ]:
        if (one := parse(_read(context, entry, MAX_ONE))) is not None:
            context.decisions.put(one)


def _write(context: BoardContext, month: str, written: str, decisions: Iterable[CommandDecision]) -> None:
    ordered = sorted(decisions, key=lambda one: (one.at, one.id))
    data = "".join(f"{one.model_dump_json()}\n" for one in ordered).encode()
    if len(data) > MAX_MONTH:
        log.warning("more decisions than the log of a month holds", month=month, bytes=len(data))
        return
    if data == written.encode():
        return
    name = f"decisions {month} {hashlib.sha256(data).hexdigest()[:16]}"
    path = f"{FOLDER}/{month}/{COMPILED}"
    context.effects.stage(
        context.logs, PutFile(id=name, path=path, data=data, line=f"Compile the decisions of {month}")
    )
