"""Reads parts of the answers that evaluations published, for the pages that show them.

A table is read without a token, so only those that everybody can read are shown. It is one file in a details repo,
named by the time of the evaluation that the board shows. A read costs one call for each table, and is bounded: bytes of
the file, rows, bytes of a row group after decompression, characters of each text.
"""

from __future__ import annotations

import hashlib
import tempfile
from bisect import bisect_right
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from itertools import accumulate
from typing import Any, BinaryIO

from bot.core.context import BoardContext
from bot.core.mirrors.contents_table import can_write
from bot.read_models.details_models import DetailsResponse, QuestionView
from bot.results.details_questions import is_right, question_view, score_of
from hub.client import Hub
from hub.errors import BadRequest, Denied, EntryNotFound, NotFound, RevisionNotFound, TooLarge
from hub.records import Repo
from leaderboard.details import table_path
from leaderboard.results import file_time, results_time
from leaderboard.suites import Benchmark
from redis_state.board.entry import IndexEntry
from redis_state.board.messages import DetailsQuestion

MAX_TABLE = 64 * 1024 * 1024
MAX_ROWS = 100_000
MAX_GROUP = 64 * 1024 * 1024
"""Bytes of one row group after decompression; a worker writes a group after four million characters."""
BATCH_ROWS = 100
"""Rows in memory at a time: the texts of one may have a million characters."""
COLUMNS = ("doc_id", "doc", "prompt", "continuations", "target", "responses", "answers", "filter", "metrics", "score")
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
    try:
        counts, questions = _read(context, question, paths)
    except DetailsRefused as error:
        return DetailsResponse(state="refused", code=error.code, message=error.message, **fields)
    return DetailsResponse(state="done", counts=counts, questions=questions, **fields)


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
) -> tuple[dict[str, int], list[QuestionView]]:
    benchmark = visible_benchmark(context, question.task)
    entries = [visible_entry(context, path) for path in paths]
    if not can_write():
        raise DetailsRefused("no-pyarrow")
    with Hub(context.hub.endpoint, None) as anonymous, ExitStack() as opened:
        tables = [opened.enter_context(_open(context, anonymous, entry, benchmark, question.task)) for entry in entries]
        grades = [table.grades(with_docs=len(tables) > 1) for table in tables]
        counts, selected = select(grades, question)
        rows = [
            table.rows({graded[number].row for number in selected})
            for table, graded in zip(tables, grades, strict=True)
        ]
    return counts, [
        question_view([mine[graded[number].row] for mine, graded in zip(rows, grades, strict=True)])
        for number in selected
    ]


@dataclass(frozen=True)
class Grade:
    """The place of a question's row in its table, its score, and a digest of the question, if it was read."""

    row: int
    score: float | None
    doc: bytes = b""


def select(grades: Sequence[Mapping[int, Grade]], question: DetailsQuestion) -> tuple[dict[str, int], list[int]]:
    """The counts of questions, and the numbers of those in the part that `question` asks for."""
    first, rest = grades[0], grades[1:]
    common = [
        number
        for number, grade in first.items()
        if all(number in other and other[number].doc == grade.doc for other in rest)
    ]
    right = {number: is_right(first[number].score) for number in common}
    listed = common
    if rest:
        pairs = ((number, right[number], is_right(rest[0][number].score)) for number in common)
        listed = [number for number, one, other in pairs if None not in (one, other) and one != other]
    by_answer = {
        "all": listed,
        "right": [number for number in listed if right[number]],
        "wrong": [number for number in listed if right[number] is False],
    }
    counts = {name: len(numbers) for name, numbers in by_answer.items()}
    part = by_answer[question.show][question.offset : question.offset + question.limit]
    return ({**counts, "common": len(common)} if rest else counts), part


# --- tables


@contextmanager
def _open(context: BoardContext, hub: Hub, entry: IndexEntry, benchmark: Benchmark, task: str) -> Iterator[AnswerTable]:
    """The table of the answers to `task` in the evaluation that the board shows. One call. Raises DetailsRefused."""
    name = entry.standing.details or context.board.repos.details(entry.model)
    time = results_time(entry.standing.results or (entry.kept.results if entry.kept is not None else None) or "")
    if time is None:
        raise DetailsRefused("no-table", repo=name, task=task)
    with tempfile.TemporaryFile() as file:
        try:
            hub.save_file(Repo("dataset", name), table_path(task, file_time(time)), "main", file, max_bytes=MAX_TABLE)
        except TooLarge:
            raise DetailsRefused("too-large", repo=name) from None
        except (EntryNotFound, RevisionNotFound):
            raise DetailsRefused("no-table", repo=name, task=task) from None
        except (NotFound, Denied, BadRequest):
            raise DetailsRefused("not-public", repo=name) from None
        file.seek(0)
        yield AnswerTable(file, name, frozenset(metric.partition(",")[2] for metric in benchmark.metrics))


class AnswerTable:
    """A table of answers, as a worker writes it, in a file. It has a row for each question and filter of answers; rows
    of `filters` count. Methods raise DetailsRefused if the table is too large or is none."""

    def __init__(self, file: BinaryIO, repo: str, filters: Collection[str]) -> None:
        import pyarrow as pa  # heavy, and boards without the extra `contents` lack it
        import pyarrow.parquet as pq

        self._errors, self._repo, self._filters = (pa.ArrowException, OSError), repo, filters
        try:
            self._file = pq.ParquetFile(file)
            self._check({"doc_id": pa.int64(), "score": pa.float64()}, pa.string())
        except self._errors:
            raise DetailsRefused("unreadable", repo=repo) from None

    def _check(self, numbers: Mapping[str, object], text: object) -> None:
        schema, metadata = self._file.schema_arrow, self._file.metadata
        groups = [metadata.row_group(at) for at in range(metadata.num_row_groups)]
        known = dict(zip(schema.names, schema.types, strict=True))
        if any(known.get(name) != numbers.get(name, text) for name in COLUMNS):
            raise DetailsRefused("unreadable", repo=self._repo)
        if metadata.num_rows > MAX_ROWS or max((group.total_byte_size for group in groups), default=0) > MAX_GROUP:
            raise DetailsRefused("too-large", repo=self._repo)
        self._starts = list(accumulate((group.num_rows for group in groups), initial=0))[:-1]

    def grades(self, *, with_docs: bool) -> dict[int, Grade]:
        """The grade of each question by its number; `with_docs` adds digests of the questions."""
        columns = ["doc_id", "filter", "score", *(["doc"] if with_docs else [])]
        grades: dict[int, Grade] = {}
        for at, row in self._each(columns, range(len(self._starts))):
            if row["filter"] in self._filters and row["doc_id"] is not None and row["doc_id"] not in grades:
                doc = hashlib.sha256((row["doc"] or "").encode()).digest() if with_docs else b""
                grades[row["doc_id"]] = Grade(at, score_of(row["score"]), doc)
        return grades

    def rows(self, wanted: Collection[int]) -> dict[int, Mapping[str, Any]]:
        """The rows at these places; only their row groups are read."""
        groups = sorted({bisect_right(self._starts, at) - 1 for at in wanted})
        return {at: row for at, row in self._each(list(COLUMNS), groups) if at in wanted}

    def _each(self, columns: list[str], groups: Sequence[int]) -> Iterator[tuple[int, Mapping[str, Any]]]:
        """Place and content of each row of `groups`, with these columns."""
        try:
            for group in groups:
                batches = self._file.iter_batches(BATCH_ROWS, row_groups=[group], columns=columns)
                yield from enumerate((row for batch in batches for row in batch.to_pylist()), self._starts[group])
        except (*self._errors, UnicodeDecodeError):
            raise DetailsRefused("unreadable", repo=self._repo) from None
