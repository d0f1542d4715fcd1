"""Do the board's repos agree with each other, as a front end reads them? One checker, over clones of them.

    requests   each file's name and fields tell the same model; what is FINISHED has the results that it names; the
               bot's index in Redis knows each file as it is
    results    each folder belongs to a model with a request; what is in a file tells the same model; what was removed
               is off the board, and kept in the archive
    flags      each record is where it belongs and matches a model, its tables are what the records say
    contents   a row for each evaluation and for nothing else, with its score, flagged where it is

Nothing is written. It reads every file, so it is for operators and tests, not for a timer. A look takes seconds, in
which the board goes on: edits that are on their way make two repos differ for as long, so look twice before you mend.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from bot.core.context import BoardContext, request_key
from bot.core.flag_table import MAX_TABLE_FILE, records_at
from bot.core.mirrors.contents_table import MAX_TABLE, MISSING, BadContentsTable, can_write, read_table
from bot.core.mirrors.folder import MirrorDamaged
from bot.flags.flag_thread import thread_at
from bot.flags.model_names import find_model
from bot.requests.comparison import out_of_step
from bot.results.contents import table_settings
from hub.records import Repo
from leaderboard.columns import FILE, ContentsRow, columns, key_of
from leaderboard.contents import compile_rows
from leaderboard.evaluations import BoardSources, MeasuredResults, measure
from leaderboard.flags import FlagRecord, compile_tables
from leaderboard.jsontext import object_in
from leaderboard.removals import original_path
from leaderboard.requests import Request, is_request_path, parse_request
from leaderboard.results import MAX_BYTES

if TYPE_CHECKING:
    from bot.core.mirrors.mirror import MirrorView

NOT_INDEXED = "request-index"
"""The word for a request that the bot's index does not know as it is."""


@dataclass(frozen=True)
class Disagreement:
    """Two things that should tell the same and do not: `what` is a stable word, `path` the file to look at."""

    what: str
    path: str
    words: str


@dataclass
class BoardFiles:
    """What each repo says, as far as it is held against the others."""

    requests: dict[str, Request] = field(default_factory=dict)
    unread: set[str] = field(default_factory=set)
    """Models of which there is a request file that cannot be read."""
    results: dict[str, dict[str, Any] | None] = field(default_factory=dict)
    archive: set[str] = field(default_factory=set)
    """Where results lay that were removed, and are kept."""
    flags: list[FlagRecord] = field(default_factory=list)
    tables: dict[str, bytes | None] = field(default_factory=dict)
    trouble: list[Disagreement] = field(default_factory=list)
    measured: dict[str, MeasuredResults] = field(default_factory=dict)
    """Results that make a row of the aggregated table, where the board has one."""

    @property
    def models(self) -> set[str]:
        """Every model that has a row, or may come to have one, in lower case."""
        asked = {request.path.model.casefold() for request in self.requests.values()}
        return asked | {_folder(path).casefold() for path in self.results}


def disagreements(context: BoardContext) -> list[Disagreement]:
    """Everything about which the board's repos disagree. A few calls to fetch, one for each flag without a row."""
    sides = read(context)
    found = [*sides.trouble, *_requests(sides), *_results(sides), *_tables(sides), *_contents(context, sides)]
    return [
        *found,
        *_flags(sides, lambda model: find_model(context, model).is_known, lambda url: _is_heard(context, url)),
    ]


# --- reading


def read(context: BoardContext) -> BoardFiles:
    """All sides, from fresh clones. Raises HubError and MirrorDamaged."""
    sides = BoardFiles()
    _each(context, context.requests, lambda view, head: _read_requests(view, head, sides, context))
    _each(context, context.results, lambda view, head: _read_results(view, head, sides, context))
    if context.flags_repo is not None:
        _each(context, context.flags_repo, lambda view, head: _read_flags(view, head, sides))
    return sides


def _each(context: BoardContext, repo: Repo, look: Callable[[MirrorView, str], None]) -> None:
    head = context.mirror.fetch(repo, depth=1)
    try:
        with context.mirror.read(repo) as view:
            look(view, head)
    except MirrorDamaged:
        context.mirror.discard(repo)
        raise


def _read_requests(view: MirrorView, head: str, sides: BoardFiles, context: BoardContext) -> None:
    sides.trouble += _index(context, view, head)
    for blob in view.files(head):
        if blob.oid is None or not is_request_path(blob.path):
            continue
        data = view.blob(blob.oid, max_bytes=context.board.max_request_bytes)
        found = parse_request(blob.path, data) if data is not None else []
        if isinstance(found, Request):
            sides.requests[blob.path] = found
        else:
            # What cannot be read at all is told in its thread; what tells two models is ours to tell.
            sides.unread.add(blob.path.partition("_eval_request_")[0])
            wrong = [one for one in found if one.code == "place"]
            sides.trouble += [Disagreement("request-place", blob.path, one.message) for one in wrong]


def _index(context: BoardContext, view: MirrorView, head: str) -> Iterator[Disagreement]:
    """Requests that the index does not know as they are, but for those of which a sync or an edit is on its way.

    Nothing where the index is not filled yet: no head of the repo is remembered.
    """
    if context.index.head(context.requests.id) is None:
        return
    found = dict(out_of_step(context, view, head))
    on_their_way = context.dirty.marked([request_key(path) for path in found])
    for (path, words), is_marked in zip(found.items(), on_their_way, strict=True):
        if not is_marked and not context.ledgers.pending(path):
            yield Disagreement(NOT_INDEXED, path, words)


def _read_results(view: MirrorView, head: str, sides: BoardFiles, context: BoardContext) -> None:
    for blob in view.files(head):
        if (original := original_path(blob.path)) is not None:
            sides.archive.add(original)
        elif blob.oid is not None and _is_results(blob.path):
            data = view.blob(blob.oid, max_bytes=MAX_BYTES)
            sides.results[blob.path] = object_in(data) if data is not None else None
            measured = (
                measure(blob.path, data, context.suite) if context.contents is not None and data is not None else None
            )
            sides.measured |= {blob.path: measured} if measured is not None else {}


def _read_flags(view: MirrorView, head: str, sides: BoardFiles) -> None:
    for path, record in records_at(view, head):
        if isinstance(record, FlagRecord):
            sides.flags.append(record)
        else:
            sides.trouble.append(Disagreement("flag-unreadable", path, record))
    for path in compile_tables(()):
        oid = view.find(head, path)
        sides.tables[path] = view.blob(oid, max_bytes=MAX_TABLE_FILE) if oid is not None else None


def _is_results(path: str) -> bool:
    name = path.rpartition("/")[2]
    return name.startswith("results_") and name.endswith(".json")


def _folder(path: str) -> str:
    return path.rpartition("/")[0]


# --- comparing


def _requests(sides: BoardFiles) -> Iterator[Disagreement]:
    for path, request in sides.requests.items():
        results, status = request.file.steward.results, request.file.status.strip().upper()
        if status == "FINISHED" and results and results not in sides.results:
            yield Disagreement("results-missing", path, f"It is FINISHED with {results}, which is not there.")
        if results and results in sides.results and _folder(results) != request.path.model:
            yield Disagreement("results-elsewhere", path, f"Its results lie in {results}, with another model.")
        yield from _removed(sides, path, request)


def _removed(sides: BoardFiles, path: str, request: Request) -> Iterator[Disagreement]:
    """A request that was removed: its results are off the board, and kept."""
    removed = (request.file.steward.model_extra or {}).get("removed")
    results = removed.get("results") if isinstance(removed, dict) else None
    if not isinstance(results, str):
        return
    if results in sides.results:
        yield Disagreement("removed-still-there", path, f"It was removed, and {results} is still on the board.")
    elif results not in sides.archive:
        yield Disagreement("removed-lost", path, f"It was removed, and {results} is in no archive.")


def _results(sides: BoardFiles) -> Iterator[Disagreement]:
    asked = {request.path.model for request in sides.requests.values()} | sides.unread
    for path, fields in sides.results.items():
        model = _folder(path)
        if model not in asked:
            yield Disagreement("results-without-request", path, f"No request is for {model}.")
        for place, said in _names_in(fields or {}):
            if said != model:
                yield Disagreement("results-name", path, f"{place} says {said[:100]}, and it lies with {model}.")


def _names_in(fields: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """Where a results file says of which model it is."""
    for place, inner in (
        ("", fields),
        ("config_general", fields.get("config_general")),
        ("config", fields.get("config")),
        ("steward", fields.get("steward")),
    ):
        name = "model" if place == "steward" else "model_name"
        said = inner.get(name) if isinstance(inner, dict) else None
        if isinstance(said, str) and "/" in said:
            yield f"{place}.{name}".lstrip("."), said


def _flags(
    sides: BoardFiles, is_known: Callable[[str], bool], is_heard: Callable[[str], bool]
) -> Iterator[Disagreement]:
    models, seen = sides.models, dict[str, str]()
    for record in sides.flags:
        for name in record.names:
            other = seen.setdefault(name.casefold(), record.path)
            if other != record.path:
                yield Disagreement("flag-twice", record.path, f"{name} has a record at {other}, too.")
        rows = any(name.casefold() in models for name in record.names)
        if not rows and not is_known(record.model):
            yield Disagreement("flag-unmatched", record.path, f"There is no model {record.model}: it flags nothing.")
        if record.stands and not record.thread and not record.is_opt_out:
            yield Disagreement("flag-without-thread", record.path, "Nobody can read where it is spoken about.")
        elif record.stands and record.thread and not is_heard(record.thread):
            words = f"{record.thread} is the address of no thread of this board: nobody hears what is said there."
            yield Disagreement("flag-elsewhere", record.path, words)
        unnamed = _unnamed(record, sides.requests.values())
        if unnamed:
            words = f"Rows are called {', '.join(sorted(unnamed))}, of which it does not know."
            yield Disagreement("flag-case", record.path, words)


def _is_heard(context: BoardContext, url: str) -> bool:
    return thread_at(context, url) is not None


def _unnamed(record: FlagRecord, requests: Iterable[Request]) -> set[str]:
    """What rows of the model are called that front ends, who look names up letter by letter, would not find."""
    names, folded = set(record.names), {name.casefold() for name in record.names}
    return {one.path.model for one in requests if one.path.model.casefold() in folded} - names


def _tables(sides: BoardFiles) -> Iterator[Disagreement]:
    if not sides.flags and not any(sides.tables.values()):
        return
    for path, data in compile_tables(sides.flags).items():
        if sides.tables.get(path) != data:
            yield Disagreement("flag-table", path, "It is not what the records say.")


def _contents(context: BoardContext, sides: BoardFiles) -> Iterator[Disagreement]:
    """The aggregated table, held against the one that follows from all the rest."""
    if context.contents is None:
        return
    if not can_write():
        yield Disagreement("contents-unreadable", FILE, MISSING)
        return
    file = context.hub.find_file(context.contents, FILE, max_bytes=MAX_TABLE)
    try:
        rows = read_table(file.data, file.oid, columns(context.suite)).rows if file is not None else ()
    except BadContentsTable as error:
        yield Disagreement("contents-unreadable", FILE, str(error))
        return
    flags = sides.flags if context.flags_repo is not None else None
    sources = BoardSources(sides.requests, sides.measured, set(sides.results), flags)
    wanted = {_evaluation_of(row): row for row in compile_rows(rows, sources, {}, table_settings(context))}
    found = {_evaluation_of(row): row for row in rows}
    for key in sorted(wanted.keys() - found.keys()):
        yield Disagreement("contents-missing", FILE, f"{' '.join(key)} was evaluated, and has no row.")
    for key in sorted(found.keys() - wanted.keys()):
        yield Disagreement("contents-without-result", FILE, f"{' '.join(key)} has a row, and no results to show.")
    for key in sorted(found.keys() & wanted.keys()):
        yield from _row(found[key], wanted[key])
    if len(found) != len(rows):
        yield Disagreement("contents-twice", FILE, f"{len(rows) - len(found)} evaluations have more rows than one.")


def _evaluation_of(row: ContentsRow) -> tuple[str, ...]:
    """Which evaluation a row is about, at which commit."""
    return (*key_of(row), row.get("Model sha") or "")


def _row(found: ContentsRow, wanted: ContentsRow) -> Iterator[Disagreement]:
    name = " ".join(_evaluation_of(found))
    if found["Flagged"] != wanted["Flagged"]:
        words = "is flagged, and its row does not say so" if wanted["Flagged"] else "is not flagged, as its row says"
        yield Disagreement("contents-flagged", FILE, f"{name} {words}.")
    if found["Average ⬆️"] != wanted["Average ⬆️"]:
        words = f"{name} has the average {found['Average ⬆️']}, and its results say {wanted['Average ⬆️']}."
        yield Disagreement("contents-score", FILE, words)
