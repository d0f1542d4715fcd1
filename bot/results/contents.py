"""The aggregated table in step with requests, results and flags, in one commit however much changed.

A look costs three calls where nothing changed. Where something did, what changed is fetched and read, the whole table
follows from it, and it is written only if a row differs. Likes, licences and dates are asked of the Hub for LOOKS
models a look, each once a day; a new row waits until its model was asked about, for there is nobody to see it yet.

Race closed: a table that is staged and overtaken. It is staged under one id, so the newer one takes its place; one that
landed wakes this sync, which looks at what is there.
Race closed: two processes that asked about a model at different times. What one was told counts until a newer table has
landed, and then that table does; each holding on to its own, they would write in turns for ever.
Race accepted: results whose request is on its way, and the other way round. The row comes, or goes, a look later.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import TYPE_CHECKING, TypeVar

import structlog

from bot.core.context import BoardContext
from bot.core.mirrors.contents_table import (
    MAX_TABLE,
    MISSING,
    BadContentsTable,
    ContentsTable,
    can_write,
    read_table,
    write_table,
)
from bot.ledger.edits import PutFile
from hub.errors import BadRequest, BadToken, Denied, Garbled, NotFound, TooLarge
from hub.records import ModelInfo, Repo
from leaderboard.admission.sizes import BILLION
from leaderboard.columns import FILE, ContentsColumn, ContentsRow, columns, key_of
from leaderboard.contents import HubModelInfo, TableSettings, compile_rows, describe, model_info_from_row, rows_of
from leaderboard.evaluations import BoardSources, MeasuredResults, evaluations, is_results_path, measure, slim
from leaderboard.requests import Request, is_request_path, parse_request
from leaderboard.results import MAX_BYTES
from redis_state.dirty import SyncPriority

if TYPE_CHECKING:
    from bot.core.mirrors.git_trees import GitFile
    from bot.core.mirrors.mirror import MirrorView

log = structlog.get_logger()

CONTENTS = "contents"
"""Dirty key: the aggregated table may be out of step."""
EDIT = "table of contents"
SETTLE = 20.0
"""Seconds between a change and the look at it: what comes close upon it is seen with it."""
LOOKS, PACE = 100, 60.0
"""Models that one look asks about, and seconds until the next one, where more are to be asked about."""
DAY = 86_400.0

T = TypeVar("T")


class CannotWrite(Exception):
    """The library that writes tables is not installed."""


def mark_contents(context: BoardContext) -> None:
    """Something changed that the table may tell."""
    if context.contents is not None:
        context.dirty.mark(CONTENTS, due=context.now() + SETTLE, priority=SyncPriority.BACKGROUND)


def sync_contents(context: BoardContext) -> float | None:
    """Write the table, if a row of it is not as it should be."""
    repo, memory = context.contents, context.contents_memory
    if repo is None:
        return None
    if not can_write():
        raise CannotWrite(MISSING)
    seen = _input_state(context, repo)
    if seen == memory.seen and context.now() < memory.due:
        return None
    shape = columns(context.suite)
    sources, there = gather(context), read_current_table(context, repo, seen[-1], shape)
    known, waits = _ask(context, sources, there)
    rows = compile_rows(there.rows, sources, known, table_settings(context), waits=waits)
    if not _write(context, repo, there, rows, shape):
        memory.seen = seen
    return context.now() + PACE if waits else None


def _input_state(context: BoardContext, repo: Repo) -> tuple[str, ...]:
    """What decides about the table: the heads of its sources, what may be done, and the table's own id (last)."""
    flags, may = context.flag_book.known()[0], context.effects.words()
    return (context.hub.head(context.requests), context.hub.head(context.results), flags, may, _table_id(context, repo))


def _table_id(context: BoardContext, repo: Repo) -> str:
    file = context.hub.paths_info(repo, [FILE]).get(FILE)
    return file.oid if file is not None else ""


def table_settings(context: BoardContext) -> TableSettings:
    """What rows take from the board."""
    official = frozenset(name.casefold() for name in context.board.admission.official_providers)
    return TableSettings(context.suite, context.hub.endpoint, context.board.repos.details, official)


def read_current_table(context: BoardContext, repo: Repo, oid: str, shape: tuple[ContentsColumn, ...]) -> ContentsTable:
    """The table with this id, read once; an empty one where there is none, or none that can be read."""
    memory = context.contents_memory
    if memory.table.oid != oid or not oid:
        file = context.hub.find_file(repo, FILE, max_bytes=MAX_TABLE) if oid else None
        try:
            memory.table = read_table(file.data, file.oid, shape) if file is not None else ContentsTable()
        except BadContentsTable as error:
            log.error("a table that cannot be read is written anew", error=str(error))
            memory.table = ContentsTable(oid=oid)
    return memory.table


def table_licences(context: BoardContext) -> dict[str, str]:
    """Model → its licence, as the table tells it; nothing where the board has none. Two calls at most."""
    repo = context.contents
    if repo is None:
        return {}
    if not can_write():
        raise CannotWrite(MISSING)
    there = read_current_table(context, repo, _table_id(context, repo), columns(context.suite))
    known = ((key_of(row)[0], model_info_from_row(row).licence) for row in there.rows)
    return {model: licence for model, licence in known if licence}


# --- what the repos hold


def gather(context: BoardContext) -> BoardSources:
    """Requests, results and flags, of which only what changed since the last look is read. A few calls."""
    memory, sources = context.contents_memory, BoardSources()
    limit = context.board.max_request_bytes

    def request(blob: GitFile, view: MirrorView) -> Request | None:
        data = view.blob(blob.oid or "", max_bytes=limit)
        found = parse_request(blob.path, data) if data is not None else None
        return slim(found) if isinstance(found, Request) else None

    def results(blob: GitFile, view: MirrorView) -> MeasuredResults | None:
        data = view.blob(blob.oid or "", max_bytes=MAX_BYTES)
        return measure(blob.path, data, context.suite) if data is not None else None

    memory.requests = _read(context, context.requests, is_request_path, memory.requests, request)
    memory.results = _read(context, context.results, is_results_path, memory.results, results)
    sources.requests = {path: one for (path, _), one in memory.requests.items() if one is not None}
    sources.measured = {path: one for (path, _), one in memory.results.items() if one is not None}
    sources.results = {path for path, _ in memory.results}
    sources.flags = context.flag_book.records() if context.flags_repo is not None else None
    return sources


def _read(
    context: BoardContext,
    repo: Repo,
    wanted: Callable[[str], bool],
    known: dict[tuple[str, str], T],
    read: Callable[[GitFile, MirrorView], T],
) -> dict[tuple[str, str], T]:
    """Path and blob id → what each wanted file of `repo` holds; only those that are not `known` are read."""
    head = context.mirror.fetch(repo, depth=0)
    found: dict[tuple[str, str], T] = {}
    with context.mirror.read_fetched(repo) as view:
        for blob in view.files(head):
            if wanted(blob.path) and blob.oid is not None:
                place = (blob.path, blob.oid)
                found[place] = known[place] if place in known else read(blob, view)
    return found


# --- what the Hub says of models


def _ask(
    context: BoardContext, sources: BoardSources, there: ContentsTable
) -> tuple[dict[str, HubModelInfo], set[str]]:
    """What is known of each model with a row, and the models that nobody was asked about yet."""
    memory = context.contents_memory
    found = evaluations(sources)
    # A row that others made tells what was known in their days: it counts only where there is none of ours.
    known = {key_of(row)[0]: model_info_from_row(row) for row in (*there.rows, *rows_of(found, there.rows))}
    known |= {one: said for one, (oid, said) in memory.known.items() if oid == there.oid or one not in known}
    models = sorted({key[0] for key in found})
    now, looked = context.now(), memory.looked
    for model in models:
        if model in known and model not in looked:
            # Read by another process, or before a restart: its turn comes within a day, not with all the others.
            looked[model] = now - DAY * (zlib.crc32(model.encode()) % 1_000) / 1_000
    new = [model for model in models if model not in known]
    old = sorted((model for model in models if looked.get(model, now) <= now - DAY), key=lambda one: looked[one])
    for model in (new + old)[:LOOKS]:
        known[model] = look_at_model(context, model, known.get(model, HubModelInfo()))
        memory.known[model] = (there.oid, known[model])
        looked[model] = now
    memory.due = _next_look(context, models)
    return known, set(new[LOOKS:])


def _next_look(context: BoardContext, models: Iterable[str]) -> float:
    looked = context.contents_memory.looked
    return min((looked[model] + DAY for model in models if model in looked), default=context.now() + DAY)


def look_at_model(context: BoardContext, model: str, before: HubModelInfo) -> HubModelInfo:
    """One call. Of a model that is gone, hidden or switched off we keep what we knew, and say that it is; what the Hub
    says of another may be more than we read, or not to be understood, and must not keep all others from the table."""
    try:
        found = context.hub.model_facts(model)
    except BadToken:
        raise
    except (NotFound, BadRequest, Denied):
        return replace(before, available=False)
    except (TooLarge, Garbled) as error:
        log.warning("no facts about a model", model=model, error=str(error)[:200])
        return before
    return _facts(found, model)


def _facts(found: ModelInfo, model: str) -> HubModelInfo:
    merged, moe = describe([*found.tags, *_words(found.card.get("tags"))], model.rpartition("/")[2])
    bases, named = _words(found.card.get("base_model")), _words(found.config.get("architectures"))
    return HubModelInfo(
        likes=found.likes,
        licence=found.license if isinstance(found.license, str) else None,
        merged=merged,
        moe=moe,
        created=found.created_at.date().isoformat() if found.created_at is not None else None,
        architecture=";".join(named)[:200] or None,
        base_model=bases[0] if bases else None,
        parameters=round(found.parameters / BILLION, 3) if found.parameters else None,
    )


def _words(said: object) -> list[str]:
    """A stranger's word, or list of them."""
    several = said if isinstance(said, list) else [said]
    return [one[:200] for one in several if isinstance(one, str)]


# --- writing


def _write(
    context: BoardContext, repo: Repo, there: ContentsTable, rows: list[ContentsRow], shape: tuple[ContentsColumn, ...]
) -> bool:
    """Have the table written, where a row differs; whether somebody is to look again once it landed."""
    wanted = [{**dict.fromkeys(there.more), **row} for row in rows]
    same = wanted == list(there.rows) and bool(there.data or not wanted)
    if same and not context.ledgers.pending(FILE):
        return False
    data = there.data if same and there.data else write_table(wanted, shape, there.more)
    line = f"Write the table of evaluations ({len(wanted):,})"
    put = PutFile(id=EDIT, path=FILE, data=data, line=line, subject=FILE, unless_exists=False, wake=(CONTENTS,))
    log.info("contents", rows=len(wanted), before=len(there.rows))
    return context.effects.stage(repo, put)
