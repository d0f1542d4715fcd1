"""Compile the decisions of each month into one file of the logs repo, once a day.

    decisions/2026/11/25/{comment}-{n}.json    one decision, written when it was made
    decisions/2026/11/all.jsonl                all decisions of the month, one per line

After Redis was lost this sync is due at once, and restores the list of decisions from these files: one call per
thousand files listed, one for the month's file, and one for each decision that the month's file does not hold yet. It
also reads the files of EARLIER_MONTHS, once, for the renames in them: former names lead to the present ones again.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta

import structlog

from bot.changes.verb_rename import RENAME
from bot.core.context import BoardContext
from bot.core.decision_records import FOLDER, decision_repo
from bot.ledger.edits import PutFile
from hub.errors import Garbled, NotFound
from hub.records import FileEntry, Repo
from redis_state.board.decisions import CommandDecision, parse

log = structlog.get_logger()

DECISIONS, COMPILED = "decisions", "all.jsonl"
RENAMES = "renames"
"""Field of the hash of rounds: the time when renames were read from the files of earlier months."""
EARLIER_MONTHS = 24
MAX_MONTH_BYTES, MAX_DECISION_BYTES, MAX_FILES_READ = 8_000_000, 100_000, 300


def sync_decisions(context: BoardContext) -> float | None:
    """Restore the recent decisions in Redis and bring the compiled file of each recent month up to date."""
    today = datetime.fromtimestamp(context.now(), UTC)
    # In the first days of a month, the file of the month before may still lack decisions of its last day.
    for month in sorted({f"{day:%Y/%m}" for day in (today - timedelta(days=2), today)}):
        _sync_month(context, context.logs, month)
        if context.board.admission.private_models and not context.is_logs_repo_private():
            _sync_month(context, context.private_logs, month)
    if not context.redis.hexists(context.keys.rounds, RENAMES):
        _restore_former_names(context, today)
        context.redis.hset(context.keys.rounds, RENAMES, context.now())
    return None


def _restore_former_names(context: BoardContext, today: datetime) -> None:
    """Read the renames of earlier months, the newest first: one call, and one for each month with decisions."""
    start = today.year * 12 + today.month - 1
    months = [f"{number // 12}/{number % 12 + 1:02}" for number in range(start - 1, start - 1 - EARLIER_MONTHS, -1)]
    paths = [f"{FOLDER}/{month}/{COMPILED}" for month in months]
    try:
        files = context.hub.paths_info(context.logs, paths)
    except NotFound:
        return  # there is no logs repo yet
    for path in paths:
        if path in files:
            _note_former_names(context, _decisions_in(_read(context, context.logs, files[path], MAX_MONTH_BYTES)))


def _note_former_names(context: BoardContext, decisions: Mapping[str, CommandDecision]) -> None:
    """Note the former names in `decisions` that Redis does not have. The old name of a rename that was not approved
    still has requests, so its page does not redirect."""
    for decision in sorted(decisions.values(), key=lambda decision: decision.at, reverse=True):
        old, new = decision.arguments.get("model", ""), decision.arguments.get("new", "")
        if decision.verb == RENAME.name and decision.allowed and old and new and not context.index.renamed(old):
            context.index.put_renamed(old, new)


def _sync_month(context: BoardContext, repo: Repo, month: str) -> None:
    try:
        listed = context.hub.list_files(repo, folder=f"{FOLDER}/{month}")
    except NotFound:
        listed = []
    compiled = next((entry for entry in listed if entry.path == f"{FOLDER}/{month}/{COMPILED}"), None)
    written = _read(context, repo, compiled, MAX_MONTH_BYTES) if compiled is not None else ""
    decisions = _decisions_in(written)
    context.decisions.put(*decisions.values())
    missing = [entry for entry in listed if entry != compiled and _id(entry) not in decisions]
    in_redis = context.decisions.known(map(_id, missing))
    _restore(context, repo, (entry for entry in missing if _id(entry) not in in_redis))
    start = datetime.strptime(month, "%Y/%m").replace(tzinfo=UTC)
    end = (start + timedelta(days=32)).replace(day=1)
    decisions |= {decision.id: decision for decision in context.decisions.between(start.timestamp(), end.timestamp())}
    _note_former_names(context, decisions)
    _write(
        context,
        repo,
        month,
        written,
        (decision for decision in decisions.values() if decision_repo(context, decision) == repo),
        is_new=compiled is None,
    )


def _decisions_in(written: str) -> dict[str, CommandDecision]:
    # Not `splitlines`: a command may hold other characters that end a line, and JSON does not escape them.
    return {decision.id: decision for line in written.split("\n") if (decision := parse(line)) is not None}


def _id(entry: FileEntry) -> str:
    return entry.path.rpartition("/")[2].removesuffix(".json")


def _read(context: BoardContext, repo: Repo, entry: FileEntry, max_bytes: int) -> str:
    if entry.size > max_bytes:
        return ""
    return context.hub.read_file(repo, entry.path, max_bytes=max_bytes).data.decode("utf-8", "replace")


def _restore(context: BoardContext, repo: Repo, entries: Iterable[FileEntry]) -> None:
    """Read single decisions into Redis, the newest first, MAX_FILES_READ at most."""
    for entry in sorted(entries, key=lambda entry: entry.path, reverse=True)[:MAX_FILES_READ]:
        if (decision := parse(_read(context, repo, entry, MAX_DECISION_BYTES))) is not None:
            context.decisions.put(decision)


def _write(
    context: BoardContext,
    repo: Repo,
    month: str,
    written: str,
    decisions: Iterable[CommandDecision],
    *,
    is_new: bool,
) -> None:
    """Stage the file of a month, if it differs. Raises Garbled if the file `is_new`, because the Hub did not list it,
    but exists: the edit would delete the decisions in it that Redis has lost."""
    ordered = sorted(decisions, key=lambda decision: (decision.at, decision.id))
    data = "".join(f"{decision.model_dump_json()}\n" for decision in ordered).encode()
    if len(data) > MAX_MONTH_BYTES:
        log.warning("too many decisions for the file of a month", month=month, bytes=len(data))
        return
    if data == written.encode():
        return
    name = f"decisions {month} {hashlib.sha256(data).hexdigest()[:16]}"
    path = f"{FOLDER}/{month}/{COMPILED}"
    if is_new and _is_there(context, repo, path):
        raise Garbled(f"The Hub has {path}, and did not list it.")
    line = f"Compile the decisions of {month}"
    context.effects.stage(repo, PutFile(id=name, path=path, data=data, line=line, unless_exists=False))


def _is_there(context: BoardContext, repo: Repo, path: str) -> bool:
    try:
        return path in context.hub.paths_info(repo, [path])
    except NotFound:
        return False
