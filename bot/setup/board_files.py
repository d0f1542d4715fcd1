"""The files of all repos of a board, read in fresh clones for the comparison in `bot.setup.consistency`."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from bot.core.context import BoardContext, request_key
from bot.core.flag_table import MAX_TABLE_FILE, records_at
from bot.core.mirrors.folder import MirrorDamaged
from bot.requests.comparison import out_of_step
from hub.records import Repo
from leaderboard.evaluations import MeasuredResults, OtherSuiteResults, measure, results_of_other_suite
from leaderboard.flags import FlagRecord, compile_tables
from leaderboard.jsontext import object_in
from leaderboard.removals import original_path
from leaderboard.request_paths import is_request_path
from leaderboard.requests import Request, parse_request
from leaderboard.results import MAX_BYTES

if TYPE_CHECKING:
    from bot.core.mirrors.mirror import MirrorView

NOT_INDEXED = "request-index"
"""The `what` of a request that differs from its entry in the bot's index."""


@dataclass(frozen=True)
class Disagreement:
    """A contradiction between two repos: `what` is its kind, a stable word, `path` the file to check."""

    what: str
    path: str
    words: str


@dataclass
class BoardFiles:
    """The contents of all repos, as far as they are compared."""

    requests: dict[str, Request] = field(default_factory=dict)
    unread: set[str] = field(default_factory=set)
    """Models with a request file that cannot be read."""
    results: dict[str, dict[str, Any] | None] = field(default_factory=dict)
    archive: set[str] = field(default_factory=set)
    """Original paths of removed results that are in the archive."""
    flags: list[FlagRecord] = field(default_factory=list)
    tables: dict[str, bytes | None] = field(default_factory=dict)
    trouble: list[Disagreement] = field(default_factory=list)
    measured: dict[str, MeasuredResults] = field(default_factory=dict)
    """Results that have a row in the aggregated table, if the board has one."""
    other_suites: list[OtherSuiteResults] = field(default_factory=list)

    @property
    def models(self) -> set[str]:
        """Every model that has a row, or may get one, in lower case."""
        requested = {request.path.model.casefold() for request in self.requests.values()}
        return requested | {folder_of(path).casefold() for path in self.results}


def read_board_files(context: BoardContext) -> BoardFiles:
    """The contents of all repos, from fresh clones. Raises HubError and MirrorDamaged."""
    files = BoardFiles()
    _read_repo(context, context.requests, lambda view, head: _read_requests(view, head, files, context))
    _read_repo(context, context.results, lambda view, head: _read_results(view, head, files, context))
    if context.flags_repo is not None:
        _read_repo(context, context.flags_repo, lambda view, head: _read_flags(view, head, files))
    return files


def _read_repo(context: BoardContext, repo: Repo, reads: Callable[[MirrorView, str], None]) -> None:
    head = context.mirror.fetch(repo, depth=1)
    try:
        with context.mirror.read(repo) as view:
            reads(view, head)
    except MirrorDamaged:
        context.mirror.discard(repo)
        raise


def _read_requests(view: MirrorView, head: str, files: BoardFiles, context: BoardContext) -> None:
    files.trouble += _index(context, view, head)
    for blob in view.files(head):
        if blob.oid is None or not is_request_path(blob.path):
            continue
        data = view.blob(blob.oid, max_bytes=context.board.max_request_bytes)
        parsed = parse_request(blob.path, data) if data is not None else []
        if isinstance(parsed, Request):
            files.requests[blob.path] = parsed
        else:
            # An unreadable file is reported in its thread; only a file that names two models is reported here.
            files.unread.add(blob.path.partition("_eval_request_")[0])
            wrong = [problem for problem in parsed if problem.code == "place"]
            files.trouble += [Disagreement("request-place", blob.path, problem.message) for problem in wrong]


def _index(context: BoardContext, view: MirrorView, head: str) -> Iterator[Disagreement]:
    """Requests that differ from their entry in the index, except those with a marked sync or a staged edit.

    Yields nothing if the index is not filled yet, that is, if it has no head of the repo.
    """
    if context.index.head(context.requests.id) is None:
        return
    differing = dict(out_of_step(context, view, head))
    marked = context.dirty.marked([request_key(path) for path in differing])
    for (path, words), is_marked in zip(differing.items(), marked, strict=True):
        if not is_marked and not context.ledger.edits.is_pending(path):
            yield Disagreement(NOT_INDEXED, path, words)


def _read_results(view: MirrorView, head: str, files: BoardFiles, context: BoardContext) -> None:
    for blob in view.files(head):
        if (original := original_path(blob.path)) is not None:
            files.archive.add(original)
        elif blob.oid is not None and _is_results(blob.path):
            data = view.blob(blob.oid, max_bytes=MAX_BYTES)
            files.results[blob.path] = object_in(data) if data is not None else None
            if context.contents is None or data is None:
                continue
            if (measured := measure(blob.path, data, context.suite)) is not None:
                files.measured[blob.path] = measured
            elif (results := results_of_other_suite(blob.path, data, context.suite)) is not None:
                files.other_suites.append(results)


def _read_flags(view: MirrorView, head: str, files: BoardFiles) -> None:
    for path, record in records_at(view, head):
        if isinstance(record, FlagRecord):
            files.flags.append(record)
        else:
            files.trouble.append(Disagreement("flag-unreadable", path, record))
    for path in compile_tables(()):
        oid = view.find(head, path)
        files.tables[path] = view.blob(oid, max_bytes=MAX_TABLE_FILE) if oid is not None else None


def _is_results(path: str) -> bool:
    name = path.rpartition("/")[2]
    return name.startswith("results_") and name.endswith(".json")


def folder_of(path: str) -> str:
    """The folder of a results file, which is named after its model."""
    return path.rpartition("/")[0]
