"""Code in the fork: sum up the metrics in a table of samples that a worker published, and find their columns in it.

The caller downloads only the parts that these functions read: the end of the file, which holds its layout, and the
columns in COLUMNS. The file in the folder is a sparse copy, empty everywhere else.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

BATCH_ROWS = 500
COLUMNS = ("doc_id", "filter", "metrics", "score")


def table_parts(folder: Path, question: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """Yield the TableParts of the table `file`: the byte ranges of its columns."""
    yield _guarded(_parts, folder, question)


def sample_sums(folder: Path, question: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """Yield the SampleSums of the table `file`."""
    yield _guarded(_sums, folder, question)


def _guarded(read: Any, folder: Path, question: Mapping[str, Any]) -> Mapping[str, Any]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(folder / question["file"], pre_buffer=False) as file:
            metadata, schema = file.metadata, file.schema_arrow
            types = {"doc_id": pa.int64(), "score": pa.float64()}
            known = dict(zip(schema.names, schema.types, strict=True))
            if any(known.get(name) != types.get(name, pa.string()) for name in COLUMNS):
                return {"error": "is no table of samples"}
            if metadata.num_rows > question["max_rows"]:
                return {"error": f"has more than {question['max_rows']:,} rows"}
            answer: Mapping[str, Any] = read(file, question)
            return answer
    except (pa.ArrowException, OSError, ValueError, OverflowError):
        return {"error": "is no table of samples"}


def _parts(file: Any, question: Mapping[str, Any]) -> Mapping[str, Any]:
    """The places of the columns, in the order of the file."""
    metadata = file.metadata
    parts = list[tuple[int, int]]()
    for number in range(metadata.num_row_groups):
        group = metadata.row_group(number)
        for at in range(group.num_columns):
            column = group.column(at)
            if column.path_in_schema in COLUMNS:
                if column.total_uncompressed_size > question["max_column"]:
                    return {"error": f"has more than {question['max_column']:,} bytes of metrics in one piece"}
                start = column.data_page_offset
                if column.has_dictionary_page and column.dictionary_page_offset is not None:
                    start = min(start, column.dictionary_page_offset)
                parts.append((start, start + column.total_compressed_size))
    return {"parts": sorted(parts)}


def _sums(file: Any, question: Mapping[str, Any]) -> Mapping[str, Any]:
    """The sums of the suite's metrics, and the other facts that `leaderboard.sample_checks` compares."""
    metrics = [(metric, *metric.partition(",")[::2]) for metric in question["metrics"]]
    names, withdrawn = [name for _, name, _ in metrics], set(question["withdrawn"])
    sums: dict[str, list[Any]] = {metric: [list[float](), 0, 0] for metric, _, _ in metrics}
    numbers_by_filter, rows, scores_differ = dict[str, set[int]](), 0, 0
    for batch in file.iter_batches(BATCH_ROWS, columns=list(COLUMNS), use_threads=False):
        for row in batch.to_pylist():
            values, number, of_filter = _object(row["metrics"]), row["doc_id"], row["filter"]
            if number is None or of_filter is None:
                return {"error": "has a row without the number of its question"}
            rows += 1
            numbers_by_filter.setdefault(of_filter, set()).add(number)
            scores_differ += not _is_score(row["score"], values, names)
            if number in withdrawn:
                continue
            for metric, name, filter_name in metrics:
                if filter_name == of_filter:
                    _add(sums[metric], values.get(name))
    return {
        "rows": rows,
        "questions": {
            name: len(numbers) for name, numbers in list(numbers_by_filter.items())[: question["max_filters"]]
        },
        "metrics": {
            metric: {"total": math.fsum(totals), "count": count, "without": without}
            for metric, (totals, count, without) in sums.items()
        },
        "scores_differ": scores_differ,
    }


def _object(text: str | None) -> Mapping[str, Any]:
    try:
        value = json.loads(text or "")
    except (ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}


def _add(sums: list[Any], value: object) -> None:
    """Add one sample's value to a sum: [values, number of values, samples without a number]."""
    numbers = [_number(each) for each in (value if isinstance(value, list) else [value])]
    finite = [number for number in numbers if number is not None]
    if not numbers or len(finite) < len(numbers):
        sums[2] += 1
        return
    sums[0] += finite
    sums[1] += len(finite)


def _number(value: object) -> float | None:
    """`value` as a finite number; the harness writes some kinds of numbers as text."""
    if not isinstance(value, bool | int | float | str):
        return None
    try:
        number = float(value)
    except (ValueError, OverflowError):
        return None
    return number if math.isfinite(number) and abs(number) < 1e15 else None


def _is_score(score: float | None, values: Mapping[str, Any], names: Sequence[str]) -> bool:
    """Whether `score` is the mean of the metrics `names`, as a worker computes it."""
    numbers = [number for name in names if (number := _score_of(values.get(name))) is not None]
    if not numbers or score is None:
        return not numbers and score is None
    mean = sum(numbers) / len(numbers)
    return math.isclose(mean, score, rel_tol=1e-6, abs_tol=1e-6) or (math.isnan(mean) and math.isnan(score))


def _score_of(value: object) -> float | None:
    """One metric as a number; a list as its mean. See `workers.publication.details`."""
    if isinstance(value, bool | int | float):
        return float(value)
    if isinstance(value, list):
        numbers = [number for each in value if (number := _score_of(each)) is not None]
        return sum(numbers) / len(numbers) if numbers else None
    return None
