"""Restores an evaluator's samples from its tables of answers, as lines of JSON, and checks them against their digests.

Tables hold text that untrusted models wrote: rows and row groups are bounded, and each line is parsed as that of an
evaluator is.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from leaderboard.evaluator_contract import question_digest
from leaderboard.evaluator_files import EvaluatorProblem, TaskSamples
from leaderboard.result_digests import AskedParts
from workers.errors import RescoringRefused
from workers.publication.details import CUT, MAX_TEXT
from workers.publication.evaluator_results import AnswerDigests
from workers.rescoring.stored_answers import AnswersTable, open_table

ROWS = 50
"""Rows in memory at a time: a row alone may have megabytes of text."""
_TEXTS = ("doc", "prompt", "target", "responses", "metrics")


@dataclass(frozen=True)
class StoredSamples:
    """The samples of one task: the file and the digests of those that count, and the collected facts about all."""

    file: Path
    samples: TaskSamples
    answers: Mapping[int, AnswerDigests]


def write_stored_samples(
    table: Path, samples: TaskSamples, file: Path, recorded: AskedParts, *, with_questions: bool
) -> StoredSamples:
    """Write the samples in `table` that count to `file`, and feed all of them to `samples`.

    `recorded` has the evaluation's digests of what it asked; `with_questions`: the stored questions must match, too.
    Raises RescoringRefused.
    """
    task, answers = samples.task, dict[int, AnswerDigests]()
    opened, has_questions = open_table(table, task), True
    try:
        with file.open("wb") as output:
            for row in _rows(opened):
                has_questions = has_questions and row["doc"] != "{}"  # an evaluator may leave out long ones
                line = _line(row, task)
                sample = samples.add(line)
                if sample.id not in samples.withdrawn:
                    output.write(line)
                    answers[sample.id] = AnswerDigests.of(sample)
    except EvaluatorProblem as problem:
        raise RescoringRefused(f"a stored sample does not count: {problem}") from problem
    except (pa.ArrowException, OSError) as error:
        raise RescoringRefused(f"the table of the answers to {task} cannot be read: {str(error)[:200]}") from error
    _check_asked(samples, recorded, with_questions=with_questions or has_questions)
    if missing := samples.withdrawn - samples.ids:
        raise RescoringRefused(f"the suite withdraws question {min(missing)} of {task}, which was not asked")
    return StoredSamples(file, samples, answers)


def _check_asked(samples: TaskSamples, recorded: AskedParts, *, with_questions: bool) -> None:
    """Raise RescoringRefused unless the samples match the evaluation's record of what it asked."""
    now, task = samples.asked(recorded.shots, recorded.dataset), samples.task
    if now.questions != recorded.questions:
        raise RescoringRefused(
            f"{now.questions:,} answers to {task} are stored, and {recorded.questions:,} questions were asked"
        )
    if now.requests != recorded.requests:
        raise RescoringRefused(f"the stored prompts of {task} are not those that its digest names")
    if with_questions and now.documents != recorded.documents:
        raise RescoringRefused(
            f"the stored questions of {task} are not those that its digest names: an evaluator that scores again "
            "leaves `question` in each sample"
        )


def _rows(table: AnswersTable) -> Iterator[dict[str, Any]]:
    with pq.ParquetFile(table.path, pre_buffer=False) as file:
        if lacking := [name for name in _TEXTS if name not in file.schema_arrow.names]:
            raise RescoringRefused(f"the table {table.path.stem} lacks the columns {', '.join(lacking)}")
        for group in table.groups:
            columns = ["doc_id", "filter", *_TEXTS]
            for batch in file.iter_batches(ROWS, row_groups=[group], columns=columns, use_threads=False):
                yield from batch.filter(pc.equal(batch["filter"], table.filter)).to_pylist()


def _line(row: Mapping[str, Any], task: str) -> bytes:
    """Restore the line of samples from which `row` was made. Raises RescoringRefused."""
    number = row["doc_id"]
    for name in _TEXTS:
        text = row[name]
        if not isinstance(text, str) or (len(text) > MAX_TEXT and text.endswith(CUT)):
            how = "is missing" if not isinstance(text, str) else f"was cut after {MAX_TEXT:,} characters"
            raise RescoringRefused(f"question {number} of {task}: the stored `{name}` {how}")
    try:
        question, metrics, responses = (json.loads(row[name]) for name in ("doc", "metrics", "responses"))
        error = metrics.pop("error") if isinstance(metrics.get("error"), str) else ""
        sample = {
            "id": number,
            "question_digest": question_digest(question),
            "question": question,
            "prompt": row["prompt"],
            "target": row["target"],
            "output": _only_output(responses),
            "metrics": metrics,
            "error": error,
        }
        return json.dumps(sample, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"
    except (ValueError, TypeError, AttributeError, RecursionError) as error_:
        reason = f"its sample is not as an evaluator's is stored ({type(error_).__name__}: {error_})"
        raise RescoringRefused(f"question {number} of {task}: {reason[:300]}") from error_


def _only_output(responses: Any) -> str:
    """The output in the column `responses`. Raises TypeError and ValueError."""
    if not isinstance(responses, list) or not all(isinstance(each, list) for each in responses):
        raise TypeError("its outputs are no list of lists")
    ((output,),) = responses
    return str(output)
