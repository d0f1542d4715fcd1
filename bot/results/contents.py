"""The sync of the aggregated table and of the snapshot of the leaderboard beside it, for static pages: both follow
requests, results and flags, in one commit whatever changed.

A pass costs three calls if nothing changed. Otherwise it fetches and reads the changed files, compiles the whole table,
and writes each of the two files only where it differs. It asks the Hub for likes, licences and dates of up to
MAX_MODELS models a pass, each model once a day. A new row waits until the Hub was asked about its model.

Race closed: a staged table is overtaken. It is staged under one id, so a newer one replaces it; when it lands, this
sync runs again and compares.
Race closed: two processes asked about a model at different times. An answer counts until a newer table has landed, and
then that table counts; otherwise the two would overwrite each other for ever.
Race accepted: results whose request is not read yet, or a request without its results. The row comes, or goes, a pass
later.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Collection, Iterable, Mapping
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
from bot.ledger.edits import PutFile, is_content
from bot.results.model_lookup import look_at_model
from hub.records import Repo
from leaderboard.columns import FILE, SNAPSHOT, ContentsColumn, ContentsRow, columns, key_of, special_columns
from leaderboard.contents import compile_rows, rows_of, split_rows
from leaderboard.contents_row import HubModelInfo, TableSettings, model_info_from_row
from leaderboard.evaluations import (
    BoardSources,
    MeasuredResults,
    OtherSuiteResults,
    evaluations,
    is_results_path,
    measure,
    results_of_other_suite,
    slim,
)
from leaderboard.predictions import PREDICTIONS
from leaderboard.request_paths import is_request_path, named_model
from leaderboard.requests import Request, parse_request
from leaderboard.results import MAX_BYTES
from redis_state.dirty import SyncPriority
from redis_state.redis import text

if TYPE_CHECKING:
    from bot.core.mirrors.git_trees import GitFile
    from bot.core.mirrors.mirror import MirrorView

log = structlog.get_logger()

CONTENTS = "contents"
"""Dirty key: the aggregated table may be out of date."""
EDIT, SNAPSHOT_EDIT = "table of contents", "snapshot of the leaderboard"
SETTLE_SECONDS = 20.0
"""Seconds between a change and the pass: changes that follow closely are handled together."""
REST_RATIO, MAX_REST_SECONDS = 5.0, 120.0
"""A process waits this many times the duration of the last pass before it compiles the next table, at most so many
seconds: a large table on a busy board would otherwise take most of the time of a sync process."""
MAX_MODELS, PASS_SECONDS = 100, 60.0
"""Models that one pass asks about, and seconds until the next pass if there are more."""
DAY = 86_400.0

T = TypeVar("T")
ComposeSnapshot = Callable[[BoardContext, Collection[str]], bytes]
"""Composes the snapshot of the evaluations with these ids. The caller passes `bot.web.snapshot.leaderboard_snapshot`,
because this slice may not import `bot.web`."""


class CannotWrite(Exception):
    """The library that writes tables is not installed."""


def mark_contents(context: BoardContext) -> None:
    """Mark the table: a change of its sources may change a row."""
    if context.contents is not None:
        context.dirty.mark(CONTENTS, due=context.now() + SETTLE_SECONDS, priority=SyncPriority.BACKGROUND)


def sync_contents(context: BoardContext, compose: ComposeSnapshot) -> float | None:
    """Write table and snapshot where they differ; return when the next pass is due, if something is left to ask for."""
    repo, memory = context.contents, context.contents_memory
    if repo is None:
        return None
    if not can_write():
        raise CannotWrite(MISSING)
    if 0 < memory.rests_until - context.now() <= MAX_REST_SECONDS:
        return memory.rests_until
    started = context.now()
    seen = _input_state(context, repo)
    if seen == memory.seen and context.now() < memory.due:
        return None
    due = _compile(context, repo, compose, seen)
    memory.rests_until = context.now() + min(REST_RATIO * (context.now() - started), MAX_REST_SECONDS)
    return due


def _compile(context: BoardContext, repo: Repo, compose: ComposeSnapshot, seen: tuple[str, ...]) -> float | None:
    """Compile both files, and stage those that differ; return when the next pass is due."""
    memory, shape = context.contents_memory, columns(context.suite)
    there = read_current_table(context, repo, seen[-1], shape)
    sources = gather(context, {key_of(row)[0] for row in there.rows})
    known, waits = _ask(context, sources, there)
    rows = compile_rows(there.rows, sources, known, table_settings(context), waits=waits)
    evaluated = evaluations(sources)
    newest, others = split_rows(rows, evaluated, sources.requests.values(), shape)
    context.table_rows.write(newest, others, context.index.tell)
    edits = _table_edits(context, there, rows, shape)
    has_scores = not context.scores.missing(str(each.request.path) for each in evaluated.values())
    _store_licences(context, newest)
    if has_scores:  # else Redis was lost, and the scores of the snapshot are being read again
        edits += _snapshot_edits(context, seen[-2], compose(context, {*newest, *others}), len(rows))
    is_staged = bool(edits) and context.effects.stage(repo, *edits)
    if has_scores and not is_staged:
        memory.seen = seen
    return context.now() + PASS_SECONDS if waits or not has_scores else None


def _input_state(context: BoardContext, repo: Repo) -> tuple[str, ...]:
    """The facts that the two files depend on: heads of repos, flags, effects; then both blob ids, the table's last."""
    flags, may = context.flag_book.known()[0], context.effects.words()
    born = text(context.redis.get(context.keys.born) or b"")  # another time after Redis was emptied
    heads = context.hub.head(context.requests), context.hub.head(context.results)
    ids = _file_ids(context, repo)
    scores = context.scores.state()  # changes when scores are filled in, which the snapshot shows
    return (born, *heads, *scores, flags, may, ids.get(SNAPSHOT, ""), ids.get(FILE, ""))


def _file_ids(context: BoardContext, repo: Repo) -> Mapping[str, str]:
    return {path: file.oid for path, file in context.hub.paths_info(repo, [SNAPSHOT, FILE]).items()}


def table_settings(context: BoardContext) -> TableSettings:
    """The board's settings that rows need."""
    official = frozenset(name.casefold() for name in context.board.admission.official_providers)
    return TableSettings(
        context.suite, context.hub.endpoint, context.board.repos.details, official, requests=context.requests.id
    )


def read_current_table(context: BoardContext, repo: Repo, oid: str, shape: tuple[ContentsColumn, ...]) -> ContentsTable:
    """The table with this blob id, read once; an empty one if there is none or it cannot be read."""
    memory = context.contents_memory
    if memory.table.oid != oid or not oid:
        file = context.hub.find_file(repo, FILE, max_bytes=MAX_TABLE) if oid else None
        try:
            memory.table = (
                read_table(file.data, file.oid, shape, context.board.front_end.name)
                if file is not None
                else ContentsTable()
            )
        except BadContentsTable as error:
            log.error("the table cannot be read and is written anew", error=str(error))
            memory.table = ContentsTable(oid=oid)
    return memory.table


def table_facts(context: BoardContext) -> dict[str, HubModelInfo]:
    """Model → its facts in the board's table, from a row with a licence if there is one. Two calls at most."""
    repo = context.contents
    if repo is None:
        return {}
    if not can_write():
        raise CannotWrite(MISSING)
    there = read_current_table(context, repo, _file_ids(context, repo).get(FILE, ""), columns(context.suite))
    known = [(key_of(row)[0], model_info_from_row(row)) for row in there.rows]
    return dict(sorted(known, key=lambda fact: bool(fact[1].licence)))


# --- reading the repos


def gather(context: BoardContext, models: Collection[str] = ()) -> BoardSources:
    """Read results, flags, and the requests of `models` and of models with results; other requests have no row.

    Only files that changed since the last pass are read. A few calls.
    """
    memory, sources = context.contents_memory, BoardSources()
    limit = context.board.max_request_bytes
    # Requests are fetched first: a request that names results which are not fetched yet would lose its row for a pass.
    requests_head, results_head = (context.mirror.fetch(repo, depth=0) for repo in (context.requests, context.results))

    def has_row(path: str) -> bool:
        return is_request_path(path) and named_model(path) in wanted

    def request(blob: GitFile, view: MirrorView) -> Request | None:
        data = view.blob(blob.oid or "", max_bytes=limit)
        parsed = parse_request(blob.path, data) if data is not None else None
        return slim(parsed) if isinstance(parsed, Request) else None

    def results(blob: GitFile, view: MirrorView) -> MeasuredResults | OtherSuiteResults | None:
        data = view.blob(blob.oid or "", max_bytes=MAX_BYTES)
        if data is None:
            return None
        return measure(blob.path, data, context.suite) or results_of_other_suite(blob.path, data, context.suite)

    memory.results = _read(context, context.results, results_head, is_results_path, memory.results, results)
    wanted = {*models, *(path.rpartition("/")[0] for path, _ in memory.results)}
    memory.requests = (
        _read(context, context.requests, requests_head, has_row, memory.requests, request) if wanted else {}
    )
    sources.requests = {path: item for (path, _), item in memory.requests.items() if item is not None}
    sources.measured = {path: item for (path, _), item in memory.results.items() if isinstance(item, MeasuredResults)}
    sources.other_suites = [item for item in memory.results.values() if isinstance(item, OtherSuiteResults)]
    sources.results = {path for path, _ in memory.results}
    sources.flags = context.flag_book.records() if context.flags_repo is not None else None
    return sources


def _read(
    context: BoardContext,
    repo: Repo,
    head: str,
    wanted: Callable[[str], bool],
    known: dict[tuple[str, str], T],
    read: Callable[[GitFile, MirrorView], T],
) -> dict[tuple[str, str], T]:
    """Path and blob id → content of each wanted file of `repo` at `head`; only files that are not `known` are read."""
    contents: dict[tuple[str, str], T] = {}
    with context.mirror.read_fetched(repo) as view:
        for blob in view.files(head):
            if wanted(blob.path) and blob.oid is not None:
                key = (blob.path, blob.oid)
                contents[key] = known[key] if key in known else read(blob, view)
    return contents


# --- facts of models


def _ask(
    context: BoardContext, sources: BoardSources, there: ContentsTable
) -> tuple[dict[str, HubModelInfo], set[str]]:
    """Ask the Hub about models; return the facts of the known ones, and the new ones that a later pass asks about."""
    memory = context.contents_memory
    evaluated = evaluations(sources)
    # A row that another program wrote holds older facts: it counts only if there is no row of Steward's.
    known = {key_of(row)[0]: model_info_from_row(row) for row in (*there.rows, *rows_of(evaluated, there.rows))}
    known |= {model: info for model, (oid, info) in memory.known.items() if oid == there.oid or model not in known}
    predictions = {key[0]: HubModelInfo() for key in evaluated if key[1] == PREDICTIONS}  # they are not models
    known |= predictions
    models = sorted({key[0] for key in evaluated} - set(predictions))
    now, looked = context.now(), memory.looked
    for model in models:
        if model in known and model not in looked:
            # Another process asked about it, or this one before a restart: spread these models over a day.
            looked[model] = now - DAY * (zlib.crc32(model.encode()) % 1_000) / 1_000
    new = [model for model in models if model not in known]
    old = sorted((model for model in models if looked.get(model, now) <= now - DAY), key=lambda model: looked[model])
    for model in (new + old)[:MAX_MODELS]:
        known[model] = look_at_model(context, model, known.get(model, HubModelInfo()))
        memory.known[model] = (there.oid, known[model])
        looked[model] = now
    memory.due = _next_look(context, models)
    return known, set(new[MAX_MODELS:])


def _next_look(context: BoardContext, models: Iterable[str]) -> float:
    looked = context.contents_memory.looked
    return min((looked[model] + DAY for model in models if model in looked), default=context.now() + DAY)


# --- writing


def _store_licences(context: BoardContext, newest: Mapping[str, ContentsRow]) -> None:
    """Store the licences in the table that Redis lost, so that the snapshot does not lose them. Two round trips."""
    licences = {row["fullname"]: row["Hub License"] for row in newest.values() if row.get("Hub License")}
    known = context.licences.find(licences)
    context.licences.put({model: licence for model, licence in licences.items() if model not in known})


def _table_edits(
    context: BoardContext, there: ContentsTable, rows: list[ContentsRow], shape: tuple[ContentsColumn, ...]
) -> list[PutFile]:
    """The edit that writes the table, if its rows or its columns for the front end differ. It wakes this sync again."""
    wanted = [{**dict.fromkeys(there.more), **row} for row in rows]
    front_end = context.board.front_end.name
    same = wanted == list(there.rows) and bool(there.data or not wanted)
    same = same and (not there.data or there.special == special_columns(front_end))
    if same and not context.ledger.edits.is_pending(FILE):
        return []
    data = there.data if same and there.data else write_table(wanted, shape, there.more, front_end)
    log.info("contents", rows=len(wanted), before=len(there.rows))
    return [_put(EDIT, FILE, data, f"Write the table of evaluations ({len(wanted):,})")]


def _snapshot_edits(context: BoardContext, oid: str, data: bytes, rows: int) -> list[PutFile]:
    """The edit that writes the snapshot, if the file with this blob id differs; a board without a row needs none."""
    same = is_content(oid, data) if oid else not rows
    if same and not context.ledger.edits.is_pending(SNAPSHOT):
        return []
    return [_put(SNAPSHOT_EDIT, SNAPSHOT, data, f"Write the snapshot of the leaderboard ({rows:,})")]


def _put(edit_id: str, path: str, data: bytes, line: str) -> PutFile:
    return PutFile(id=edit_id, path=path, data=data, line=line, subject=path, unless_exists=False, wake=(CONTENTS,))
