"""Code in the fork: read a part of the questions and answers in the untrusted tables of details repos."""

from __future__ import annotations

import hashlib
from bisect import bisect_right
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path
from typing import Any

from bot.probe.answer_fields import is_right, question_fields, score_of

BATCH_ROWS = 100
"""Rows in memory at a time: the texts of one row may have a million characters."""
COLUMNS = ("doc_id", "doc", "prompt", "continuations", "target", "responses", "answers", "filter", "metrics", "score")


class BadTable(Exception):
    """A file is not a table of answers, or is too large; `code` says which of these, `number` names the file."""

    def __init__(self, code: str, number: int) -> None:
        super().__init__(code)
        self.code, self.number = code, number


def warm() -> None:
    """Import the library that reads tables, in the calling process."""
    import pyarrow.parquet  # noqa: F401


def answers(folder: Path, question: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """Yield the AnswersPart of the tables in `folder`."""
    try:
        tables = [AnswerTable(folder / name, number, question) for number, name in enumerate(question["files"])]
        grades = [table.grades(with_docs=len(tables) > 1) for table in tables]
        counts, selected = select(grades, question["show"], question["offset"], question["limit"])
        rows = [
            table.rows({graded[number].row for number in selected})
            for table, graded in zip(tables, grades, strict=True)
        ]
    except BadTable as error:
        yield {"error": error.code, "file": error.number}
        return
    pairs = ([mine[graded[number].row] for mine, graded in zip(rows, grades, strict=True)] for number in selected)
    yield {"counts": counts, "questions": [question_fields(of_question) for of_question in pairs]}


@dataclass(frozen=True)
class Grade:
    """The place of a question's row in its table, its score, and a digest of the question, if it was read."""

    row: int
    score: float | None
    doc: bytes = b""


def select(
    grades: Sequence[Mapping[int, Grade]], show: str, offset: int, limit: int
) -> tuple[dict[str, int], list[int]]:
    """The counts of questions by answer, and the numbers of the questions in one part of the list `show`.

    For one table, the list has all questions; for two, those to which exactly one of the two answers is right.
    """
    first, further = grades[0], grades[1:]
    common = [
        number
        for number, grade in first.items()
        if all(number in table and table[number].doc == grade.doc for table in further)
    ]
    right = {number: is_right(first[number].score) for number in common}
    listed = common
    if further:
        second_right = {number: is_right(further[0][number].score) for number in common}
        differing = (number for number in common if right[number] != second_right[number])
        listed = [number for number in differing if None not in (right[number], second_right[number])]
    by_answer = {
        "all": listed,
        "right": [number for number in listed if right[number]],
        "wrong": [number for number in listed if right[number] is False],
    }
    counts = {name: len(numbers) for name, numbers in by_answer.items()}
    return ({**counts, "common": len(common)} if further else counts), by_answer[show][offset : offset + limit]


class AnswerTable:
    """A table of answers, as a worker writes it: a row for each question and answer filter. Only rows of the filters in
    `question` count. Methods raise BadTable, with `number`, if the file is too large or is not such a table.
    """

    def __init__(self, path: Path, number: int, question: Mapping[str, Any]) -> None:
        import pyarrow as pa
        import pyarrow.parquet as pq

        self._errors, self._number, self._filters = (pa.ArrowException, OSError), number, question["filters"]
        try:
            self._file = pq.ParquetFile(path)
            self._check({"doc_id": pa.int64(), "score": pa.float64()}, pa.string(), question)
        except self._errors:
            raise BadTable("unreadable", number) from None

    def _check(self, numbers: Mapping[str, object], text: object, question: Mapping[str, Any]) -> None:
        schema, metadata = self._file.schema_arrow, self._file.metadata
        groups = [metadata.row_group(at) for at in range(metadata.num_row_groups)]
        known = dict(zip(schema.names, schema.types, strict=True))
        if any(known.get(name) != numbers.get(name, text) for name in COLUMNS):
            raise BadTable("unreadable", self._number)
        largest = max((group.total_byte_size for group in groups), default=0)
        if metadata.num_rows > question["max_rows"] or largest > question["max_group"]:
            raise BadTable("too-large", self._number)
        self._starts = list(accumulate((group.num_rows for group in groups), initial=0))[:-1]

    def grades(self, *, with_docs: bool) -> dict[int, Grade]:
        """The grade of each question by its number; `with_docs` adds digests of the questions.

        A table of an earlier suite, whose filters had other names, has no rows of these filters: then the first row of
        each question counts.
        """
        columns = ["doc_id", "filter", "score", *(["doc"] if with_docs else [])]
        grades, others = dict[int, Grade](), dict[int, Grade]()
        for at, row in self._each(columns, range(len(self._starts))):
            chosen = grades if row["filter"] in self._filters else others
            if row["doc_id"] is not None and row["doc_id"] not in chosen:
                doc = hashlib.sha256((row["doc"] or "").encode()).digest() if with_docs else b""
                chosen[row["doc_id"]] = Grade(at, score_of(row["score"]), doc)
        return grades or others

    def rows(self, wanted: Collection[int]) -> dict[int, Mapping[str, Any]]:
        """The rows at these places; only their row groups are read."""
        groups = sorted({bisect_right(self._starts, at) - 1 for at in wanted})
        return {at: row for at, row in self._each(list(COLUMNS), groups) if at in wanted}

    def _each(self, columns: list[str], groups: Sequence[int]) -> Iterator[tuple[int, Mapping[str, Any]]]:
        """Place and content of each row of `groups`, with these columns."""
        try:
            for group in groups:
                batches = self._file.iter_batches(BATCH_ROWS, row_groups=[group], columns=columns, use_threads=False)
                yield from enumerate((row for batch in batches for row in batch.to_pylist()), self._starts[group])
        except (*self._errors, UnicodeDecodeError):
            raise BadTable("unreadable", self._number) from None
