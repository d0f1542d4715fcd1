"""Reads parts of the answers that evaluations published, for the pages that show them.

A table is read without a token, so only those that everybody can read are shown. It is one file in a details repo,
named by the time of the evaluation that the board shows. Where scores were computed again, the table with the new
scores is read; the evaluation's own if there is none, and the answer says so. A read costs one call for each table,
which gets its id if it is still public, and one more for a table that is not in the cache. The probe opens the
tables, and a read is bounded: bytes of the file, rows, bytes of a row group after decompression, characters of each
text. The first part of one evaluation also says how to repeat it, which is a call for its results file.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from bot.core.context import BoardContext
from bot.core.mirrors.contents_table import can_write
from bot.read_models.details_models import DetailsResponse, QuestionView, ReproductionView, RescoringView
from bot.results.reproduction import reproduction_of
from hub.client import Hub
from hub.errors import BadRequest, Denied, EntryNotFound, Garbled, NotFound, RevisionNotFound, TooLarge
from hub.file_checks import has_content
from hub.records import Repo
from leaderboard.details import table_path
from leaderboard.results import file_time, results_time
from leaderboard.suites import Benchmark
from redis_state.board.entry import IndexEntry
from redis_state.board.messages import DetailsQuestion
from redis_state.clock import iso

MAX_TABLE = 64 * 1024 * 1024
MAX_ROWS = 100_000
MAX_GROUP = 64 * 1024 * 1024
"""Bytes of one row group after decompression; a worker writes a group after four million characters."""
REFUSALS: Mapping[str, str] = {
    "no-request": "There is no public request at this path.",
    "gated-model": "The model is gated, so its answers are not public.",
    "no-results": "This request has no results yet.",
    "no-task": "The board's suite has no task of this name.",
    "restricted": "The questions of this benchmark must not be published, so its answers are not shown.",
    "not-public": "The answers cannot be shown: not everybody may read the repo {repo}, or it does not exist. A repo "
    "is gated as a whole if it holds answers to restricted benchmarks, as those of earlier versions of Steward do.",
    "no-table": "The repo {repo} has no table of the answers to {task} from this evaluation.",
    "too-large": f"The table of these answers is too large to be shown here (more than {MAX_TABLE // 1024**2} MB, or "
    f"more than {MAX_ROWS:,} rows). Read it in the repo {{repo}}.",
    "unreadable": "The table of these answers in the repo {repo} cannot be read.",
    "no-pyarrow": "This board's server cannot read tables of answers: pyarrow (the extra `contents`) is not installed.",
}


class DetailsRefused(Exception):
    """The answers are not shown; `code` is one of REFUSALS."""

    def __init__(self, code: str, *, repo: str = "", task: str = "") -> None:
        self.code, self.message = code, REFUSALS[code].format(repo=repo, task=task)
        super().__init__(self.message)


def read_details(context: BoardContext, question: DetailsQuestion) -> DetailsResponse:
    """The part of the answers that `question` asks for, or why it is not shown. Raises HubError."""
    paths = [path for path in (question.path, question.other) if path]
    fields: dict[str, Any] = {"paths": paths, "task": question.task, "show": question.show, "offset": question.offset}
    if not (question.other or question.offset):
        fields["reproduction"] = _reproduction(context, question)
    try:
        counts, questions, rescorings = _read(context, question, paths)
    except DetailsRefused as error:
        return DetailsResponse(state="refused", code=error.code, message=error.message, **fields)
    return DetailsResponse(state="done", counts=counts, questions=questions, rescorings=rescorings, **fields)


def _reproduction(context: BoardContext, question: DetailsQuestion) -> ReproductionView | None:
    """How to repeat the evaluation that `question` is about; None if its answers are not public."""
    try:
        visible_benchmark(context, question.task)
        entry = visible_entry(context, question.path)
    except DetailsRefused:
        return None
    return reproduction_of(context, entry)


def visible_entry(context: BoardContext, path: str) -> IndexEntry:
    """The request at `path`, if its answers may be public. Raises DetailsRefused. One round trip to Redis."""
    entry = context.index.find([path])[0]
    if entry is None or entry.is_private:
        raise DetailsRefused("no-request")
    if entry.standing.access != "public":
        raise DetailsRefused("gated-model")
    if not entry.has_results:
        raise DetailsRefused("no-results")
    return entry


def visible_benchmark(context: BoardContext, task: str) -> Benchmark:
    """The benchmark of `task`, if its questions may be shown. Raises DetailsRefused."""
    benchmark = context.suite.benchmark_of(task)
    if benchmark is None:
        raise DetailsRefused("no-task")
    if benchmark.restricted:
        raise DetailsRefused("restricted")
    return benchmark


def _read(
    context: BoardContext, question: DetailsQuestion, paths: Sequence[str]
) -> tuple[dict[str, int], list[QuestionView], list[RescoringView | None]]:
    benchmark = visible_benchmark(context, question.task)
    entries = [visible_entry(context, path) for path in paths]
    if not can_write():
        raise DetailsRefused("no-pyarrow")
    tables, earlier = list[TableAddress](), list[bool]()
    filters = sorted({metric.partition(",")[2] for metric in benchmark.metrics})
    with Hub(context.hub.endpoint, None) as anonymous, context.probe.folder() as folder:
        files = [f"{number}.parquet" for number in range(len(entries))]
        for name, entry in zip(files, entries, strict=True):
            places = tables_of(context, entry, question.task)
            table, is_earlier = _link_newest(context, anonymous, places, folder / name)
            tables.append(table)
            earlier.append(is_earlier)
        part = question.model_dump(include={"show", "offset", "limit"})
        limits = {"max_rows": MAX_ROWS, "max_group": MAX_GROUP}
        answers = context.probe.answers(folder, files, filters=filters, **part, **limits)
    if answers.error:
        raise DetailsRefused(answers.error, repo=tables[answers.file].repo)
    rescorings = [_rescoring(context, entry, is_earlier) for entry, is_earlier in zip(entries, earlier, strict=True)]
    return dict(answers.counts), [QuestionView.model_validate(fields) for fields in answers.questions], rescorings


def _rescoring(context: BoardContext, entry: IndexEntry, is_earlier: bool) -> RescoringView | None:
    """When the scores were computed again, and whether the shown ones are older; None if they were not."""
    standing = entry.standing
    seconds = results_time(standing.results or "")
    if not (standing.rescored_from and standing.results) or seconds is None:
        return None
    return RescoringView(
        at=iso(seconds),
        is_shown=not is_earlier,
        results_url=context.address(context.results, standing.results),
        earlier_url=context.address(context.results, standing.rescored_from),
    )


@dataclass(frozen=True)
class TableAddress:
    """The table of the answers to `task` in the evaluation that the board shows."""

    repo: str
    path: str
    task: str


def tables_of(context: BoardContext, entry: IndexEntry, task: str) -> list[TableAddress]:
    """Where the table can be: with the newest scores, or as the evaluation left it. Raises DetailsRefused."""
    standing, kept = entry.standing, entry.kept
    name = standing.details or context.board.repos.details(entry.model)
    results = standing.results or (kept.results if kept is not None else None) or ""
    times = [results_time(path) for path in dict.fromkeys((results, standing.rescored_from or results))]
    tables = [TableAddress(name, table_path(task, file_time(time)), task) for time in times if time is not None]
    if not tables:
        raise DetailsRefused("no-table", repo=name, task=task)
    return tables


# --- tables


def _link_newest(
    context: BoardContext, hub: Hub, tables: Sequence[TableAddress], place: Path
) -> tuple[TableAddress, bool]:
    """Put the first existing one of `tables` at `place`; return it, and whether it has the scores from before."""
    *newer, last = tables
    for table in newer:
        try:
            _link(context, hub, table, place)
            return table, False
        except DetailsRefused as error:
            if error.code != "no-table":
                raise
    _link(context, hub, last, place)
    return last, bool(newer)


def _link(context: BoardContext, hub: Hub, table: TableAddress, place: Path) -> None:
    """Put the table at `place`. One call, and another one where it is not in the cache. Raises DetailsRefused."""

    def save(file: BinaryIO) -> None:
        hub.save_file(repo, table.path, "main", file, max_bytes=MAX_TABLE)
        if not has_content(file, oid):
            raise Garbled(f"{table.path} in {table.repo} changed while it was read.")

    try:
        repo = Repo("dataset", table.repo)
        oid = hub.file_id(repo, table.path)
        context.probe.kept.link(oid, place, save)
    except TooLarge:
        raise DetailsRefused("too-large", repo=table.repo) from None
    except (EntryNotFound, RevisionNotFound):
        raise DetailsRefused("no-table", repo=table.repo, task=table.task) from None
    except (NotFound, Denied, BadRequest):
        raise DetailsRefused("not-public", repo=table.repo) from None
