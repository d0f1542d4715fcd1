"""Check that the board's repos agree with each other, as a front end reads them, in clones of them.

    requests   the name and the fields of each file name the same model; each FINISHED one has the results that it
               names; the bot's index in Redis has each file's current content
    results    each folder belongs to a model with a request; each file names the same model; removed results are off
               the board and in the archive
    flags      each record is at its path and matches a model; the compiled tables match the records
    contents   a row for each evaluation and no other row, with its score and its flag

The check writes nothing. It reads every file, so it is for operators and tests, not for a timer. It takes seconds, in
which the board changes: staged edits make two repos differ for a moment, so run it twice before you fix anything.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

from bot.core.context import BoardContext
from bot.core.mirrors.contents_table import MAX_TABLE, MISSING, BadContentsTable, can_write, read_table
from bot.flags.flag_thread import thread_at
from bot.flags.model_names import find_model
from bot.results.contents import table_settings
from bot.setup.board_files import BoardFiles, Disagreement, folder_of, read_board_files
from leaderboard.columns import FILE, ContentsRow, columns, key_of
from leaderboard.contents import compile_rows
from leaderboard.evaluations import BoardSources
from leaderboard.flags import FlagRecord, compile_tables
from leaderboard.requests import Request


def disagreements(context: BoardContext) -> list[Disagreement]:
    """All contradictions between the board's repos. A few calls to fetch, and one for each flag without a row."""
    files = read_board_files(context)
    return [
        *files.trouble,
        *_requests(files),
        *_results(files),
        *_tables(files),
        *_contents(context, files),
        *_flags(files, lambda model: find_model(context, model).is_known, lambda url: _is_watched(context, url)),
    ]


def _requests(files: BoardFiles) -> Iterator[Disagreement]:
    for path, request in files.requests.items():
        results, status = request.file.steward.results, request.file.status.strip().upper()
        if status == "FINISHED" and results and results not in files.results:
            yield Disagreement("results-missing", path, f"It is FINISHED with {results}, which does not exist.")
        if results and results in files.results and folder_of(results) != request.path.model:
            yield Disagreement("results-elsewhere", path, f"Its results are in the folder of another model: {results}.")
        yield from _removed(files, path, request)


def _removed(files: BoardFiles, path: str, request: Request) -> Iterator[Disagreement]:
    """A removed request whose results are still on the board, or are not in the archive."""
    removed = (request.file.steward.model_extra or {}).get("removed")
    results = removed.get("results") if isinstance(removed, dict) else None
    if not isinstance(results, str):
        return
    if results in files.results:
        yield Disagreement("removed-still-there", path, f"It was removed, and {results} is still on the board.")
    elif results not in files.archive:
        yield Disagreement("removed-lost", path, f"It was removed, and {results} is in no archive.")


def _results(files: BoardFiles) -> Iterator[Disagreement]:
    asked = {request.path.model for request in files.requests.values()} | files.unread
    for path, fields in files.results.items():
        model = folder_of(path)
        if model not in asked:
            yield Disagreement("results-without-request", path, f"There is no request for {model}.")
        for place, named in _names_in(fields or {}):
            if named != model:
                yield Disagreement(
                    "results-name", path, f"{place} names {named[:100]}, but the file is in the folder of {model}."
                )


def _names_in(fields: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """The fields of a results file that name its model, and the names."""
    for place, inner in (
        ("", fields),
        ("config_general", fields.get("config_general")),
        ("config", fields.get("config")),
        ("steward", fields.get("steward")),
    ):
        name = "model" if place == "steward" else "model_name"
        named = inner.get(name) if isinstance(inner, dict) else None
        if isinstance(named, str) and "/" in named:
            yield f"{place}.{name}".lstrip("."), named


def _flags(
    files: BoardFiles, is_known: Callable[[str], bool], is_watched: Callable[[str], bool]
) -> Iterator[Disagreement]:
    models, seen = files.models, dict[str, str]()
    for record in files.flags:
        for name in record.names:
            first_path = seen.setdefault(name.casefold(), record.path)
            if first_path != record.path:
                yield Disagreement("flag-twice", record.path, f"{name} has a record at {first_path}, too.")
        rows = any(name.casefold() in models for name in record.names)
        if not rows and not is_known(record.model):
            yield Disagreement(
                "flag-unmatched", record.path, f"There is no model {record.model}: the flag has no effect."
            )
        if record.stands and not record.thread and not record.is_opt_out:
            yield Disagreement("flag-without-thread", record.path, "It names no thread in which the author can answer.")
        elif record.stands and record.thread and not is_watched(record.thread):
            words = f"{record.thread} is not the address of a thread of this board: the bot does not read it."
            yield Disagreement("flag-elsewhere", record.path, words)
        unnamed = _unnamed(record, files.requests.values())
        if unnamed:
            words = f"Rows are called {', '.join(sorted(unnamed))}: the record lacks this spelling."
            yield Disagreement("flag-case", record.path, words)


def _is_watched(context: BoardContext, url: str) -> bool:
    return thread_at(context, url) is not None


def _unnamed(record: FlagRecord, requests: Iterable[Request]) -> set[str]:
    """Names in rows of the model that differ from the record's: front ends match names exactly, and would miss them."""
    names, folded = set(record.names), {name.casefold() for name in record.names}
    return {request.path.model for request in requests if request.path.model.casefold() in folded} - names


def _tables(files: BoardFiles) -> Iterator[Disagreement]:
    if not files.flags and not any(files.tables.values()):
        return
    for path, data in compile_tables(files.flags).items():
        if files.tables.get(path) != data:
            yield Disagreement("flag-table", path, "It differs from the records.")


def _contents(context: BoardContext, files: BoardFiles) -> Iterator[Disagreement]:
    """Compare the aggregated table with the one compiled from the other repos."""
    if context.contents is None:
        return
    if not can_write():
        yield Disagreement("contents-unreadable", FILE, MISSING)
        return
    file = context.hub.find_file(context.contents, FILE, max_bytes=MAX_TABLE)
    try:
        shape, front_end = columns(context.suite), context.board.front_end.name
        rows = read_table(file.data, file.oid, shape, front_end).rows if file is not None else ()
    except BadContentsTable as error:
        yield Disagreement("contents-unreadable", FILE, str(error))
        return
    flags = files.flags if context.flags_repo is not None else None
    sources = BoardSources(files.requests, files.measured, set(files.results), flags, files.other_suites)
    wanted = {_evaluation_of(row): row for row in compile_rows(rows, sources, {}, table_settings(context))}
    existing = {_evaluation_of(row): row for row in rows}
    for key in sorted(wanted.keys() - existing.keys()):
        yield Disagreement("contents-missing", FILE, f"{' '.join(key)} was evaluated, but has no row.")
    for key in sorted(existing.keys() - wanted.keys()):
        yield Disagreement("contents-without-result", FILE, f"{' '.join(key)} has a row, but no results.")
    for key in sorted(existing.keys() & wanted.keys()):
        yield from _row(existing[key], wanted[key])
    if len(existing) != len(rows):
        yield Disagreement("contents-twice", FILE, f"{len(rows) - len(existing)} evaluations have more than one row.")


def _evaluation_of(row: ContentsRow) -> tuple[str, ...]:
    """The key of the evaluation in a row, with its commit."""
    return (*key_of(row), row.get("Model sha") or "")


def _row(row: ContentsRow, wanted: ContentsRow) -> Iterator[Disagreement]:
    name = " ".join(_evaluation_of(row))
    if row["Flagged"] != wanted["Flagged"]:
        words = "is flagged, and its row does not say so" if wanted["Flagged"] else "is not flagged, as its row says"
        yield Disagreement("contents-flagged", FILE, f"{name} {words}.")
    if row["Average ⬆️"] != wanted["Average ⬆️"]:
        words = f"{name} has the average {row['Average ⬆️']}, but its results have {wanted['Average ⬆️']}."
        yield Disagreement("contents-score", FILE, words)
