"""Reads the answers of a finished evaluation from its tables, in the types that the harness had before it wrote them.

Tables hold text: a question as JSON, and log-likelihoods and answers as the harness spells them out. What a model
wrote is untrusted, so a read is bounded: rows, and bytes of a row group after decompression.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from workers.errors import RescoringRefused
from workers.publication.details import CUT, MAX_TEXT

MAX_ROWS = 1_000_000
MAX_GROUP = 256 * 1024 * 1024
"""Bytes of one row group after decompression; a worker writes a group after four million characters."""
COLUMNS = ("doc_id", "doc", "responses", "filter")
"""The columns of a table of answers from which scores follow."""
FIRST_ROWS = 16
"""Rows that are decoded at a time in the search for the first question."""
_TRUTHS = {"True": True, "False": False}


@dataclass(slots=True)
class StoredAnswer:
    """The answer to one question: `responses` has a list for each request, with an item for each repetition."""

    question: int
    doc: dict[str, Any]
    responses: list[list[Any]]


@dataclass(frozen=True)
class UnusableAnswer:
    """An answer that cannot be scored, and why."""

    question: int
    reason: str


@dataclass(frozen=True)
class AnswersTable:
    """A table of the answers to one task.

    A question has a row for each filter of the suite of that time, all with the same responses: only rows of `filter`
    are read. They are in the row groups `groups`, with `sizes` questions each. `questions` are in the order in which
    the harness scored them.
    """

    path: Path
    filter: str
    groups: tuple[int, ...]
    sizes: tuple[int, ...]
    questions: tuple[int, ...]
    first: Mapping[str, Any]
    """The question with the lowest number, which the harness reads to learn the form of all."""
    prompt: str
    """The prompt of that question; "" if the table does not have it whole."""


def open_table(path: Path, task: str) -> AnswersTable:
    """Open the table of `task`. Raises RescoringRefused if it is missing, or of another layout."""
    try:
        with pq.ParquetFile(path, pre_buffer=False) as file:
            return _table(file, path, task)
    except FileNotFoundError:
        raise RescoringRefused(f"there is no table of the answers to {task}") from None
    except (pa.ArrowException, OSError, ValueError) as error:
        raise RescoringRefused(f"the table of the answers to {task} cannot be read: {str(error)[:200]}") from error


def _table(file: pq.ParquetFile, path: Path, task: str) -> AnswersTable:
    lacking = [name for name in COLUMNS if name not in file.schema_arrow.names]
    if lacking:
        raise RescoringRefused(
            f"the table of the answers to {task} has another layout: it lacks the columns {', '.join(lacking)}"
        )
    if not 0 < file.metadata.num_rows <= MAX_ROWS:
        raise RescoringRefused(f"the table of the answers to {task} has {file.metadata.num_rows:,} rows")
    groups, of_group, questions, chosen = list[int](), list[list[int]](), list[int](), ""
    for number in range(file.metadata.num_row_groups):
        _check_size(file, number, task)
        part = file.read_row_group(number, columns=["doc_id", "filter"], use_threads=False)
        chosen = chosen or str(part["filter"][0])
        of_filter = pc.equal(part["filter"], chosen)
        ids = part["doc_id"].filter(of_filter).to_pylist()
        if ids:
            groups.append(number)
            of_group.append(ids)
            questions += ids
    if None in questions or len(set(questions)) < len(questions):
        raise RescoringRefused(f"the table of the answers to {task} has several rows of one question, or none")
    lowest = min(questions)
    group = next(group for group, ids in zip(groups, of_group, strict=True) if lowest in ids)
    row = _find_row(file, group, lowest, chosen)
    answer = _answer(lowest, row["doc"], row["responses"], lambda responses: responses, json.loads)
    if isinstance(answer, UnusableAnswer):
        raise RescoringRefused(f"question {answer.question} of {task}: {answer.reason}")
    prompt = str(row.get("prompt") or "")
    return AnswersTable(
        path,
        chosen,
        tuple(groups),
        tuple(map(len, of_group)),
        tuple(questions),
        answer.doc,
        "" if prompt.endswith(CUT) else prompt,
    )


def _find_row(file: pq.ParquetFile, group: int, question: int, filter_name: str) -> Mapping[str, Any]:
    """The row of one question, with its prompt if the table has prompts. Little more than this row is decoded."""
    columns = [name for name in (*COLUMNS, "prompt") if name in file.schema_arrow.names]
    for batch in file.iter_batches(FIRST_ROWS, row_groups=[group], columns=columns, use_threads=False):
        is_it = pc.and_(pc.equal(batch["doc_id"], question), pc.equal(batch["filter"], filter_name))
        if rows := batch.filter(is_it).to_pylist():
            return rows[0]  # type: ignore[no-any-return]  # the library has no types
    raise ValueError(f"question {question} is not where it was")


def _check_size(file: pq.ParquetFile, group: int, task: str) -> None:
    if file.metadata.row_group(group).total_byte_size > MAX_GROUP:
        raise RescoringRefused(f"the table of the answers to {task} has more than {MAX_GROUP:,} bytes in one piece")


def read_answers(
    path: Path,
    groups: Sequence[int],
    filter_name: str,
    typed: Callable[[Any], list[list[Any]]],
    *,
    without: Collection[int] = (),
    only: Collection[int] | None = None,
    read_doc: Callable[[str], Any] = json.loads,
) -> Iterator[StoredAnswer | UnusableAnswer]:
    """The answers in some row groups of a table, `without` some questions, or `only` some.

    `typed` gives the responses their types; see `typed_responses`. `read_doc` makes a question of its text.
    """
    with pq.ParquetFile(path, pre_buffer=False) as file:
        for group in groups:
            rows = file.read_row_group(group, columns=list(COLUMNS), use_threads=False)
            rows = rows.filter(pc.equal(rows["filter"], filter_name))
            if only is not None:
                rows = rows.filter(pc.is_in(rows["doc_id"], value_set=pa.array(only, pa.int64())))
            columns = (_values(rows[name]) for name in ("doc_id", "doc", "responses"))
            for question, doc, responses in zip(*columns, strict=True):
                if question not in without:
                    yield _answer(question, doc, responses, typed, read_doc)


def _values(column: pa.ChunkedArray) -> list[Any]:
    """The values of a column: as `to_pylist`, in a third of its time where no value is missing."""
    values: list[Any] = column.to_pylist() if column.null_count else column.to_numpy().tolist()
    return values


def _answer(
    question: int,
    doc: str | None,
    responses: str | None,
    typed: Callable[[Any], list[list[Any]]],
    read_doc: Callable[[str], Any],
) -> StoredAnswer | UnusableAnswer:
    for name, text in (("question", doc), ("answer", responses)):
        if not isinstance(text, str):
            return UnusableAnswer(question, f"its {name} is missing")
        if len(text) > MAX_TEXT and text.endswith(CUT):
            return UnusableAnswer(question, f"its {name} was cut after {MAX_TEXT:,} characters when it was stored")
    try:
        fields = read_doc(doc or "")
        if not isinstance(fields, dict):
            return UnusableAnswer(question, "its question has no fields")
        return StoredAnswer(question, fields, typed(json.loads(responses or "")))
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        return UnusableAnswer(question, f"it is not as the harness writes it ({type(error).__name__}: {error})"[:300])


def typed_responses(output_type: str) -> Callable[[Any], list[list[Any]]]:
    """The function that gives the stored responses of a task with this output type the harness's types.

    It raises ValueError, TypeError or KeyError for other responses.
    """
    return {
        "generate_until": _texts,
        "loglikelihood_rolling": _numbers,
        "loglikelihood": _likelihoods,
        "multiple_choice": _likelihoods,
    }[output_type]


def _likelihoods(stored: Any) -> list[list[Any]]:
    """(log-likelihood, whether it is the most likely text) for each request and repetition."""
    return _checked([[(float(number), _TRUTHS[most]) for number, most in repeats] for repeats in stored])


def _numbers(stored: Any) -> list[list[Any]]:
    return _checked([[float(number) for number in repeats] for repeats in stored])


def _texts(stored: Any) -> list[list[Any]]:
    if not all(isinstance(text, str) for repeats in stored for text in repeats):
        raise TypeError("a generated text is no text")
    return _checked([list(repeats) for repeats in stored])


def _checked(responses: list[list[Any]]) -> list[list[Any]]:
    if not responses or not all(responses):
        raise ValueError("a request has no response")
    return responses
