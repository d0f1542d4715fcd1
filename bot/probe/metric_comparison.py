"""Code in the fork: compare the metrics in a table of samples with those that were computed again from its answers."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

BATCH_ROWS = 500
COLUMNS = ("doc_id", "filter", "metrics")
TOLERANCE = 1e-6
MAX_LINE = 1_000_000


def compare_metrics(folder: Path, question: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """Yield the MetricComparison of the table `file` and the metrics in `recomputed`, without the questions `skip`."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    names = sorted({metric.partition(",")[0] for metric in question["metrics"]})
    skip = set(question["skip"])
    recomputed = _recomputed(folder / question["recomputed"], names)
    compared, above, below, first = 0, 0, 0, -1
    try:
        with pq.ParquetFile(folder / question["file"], pre_buffer=False) as file:
            for batch in file.iter_batches(BATCH_ROWS, columns=list(COLUMNS), use_threads=False):
                for row in batch.to_pylist():
                    number, values = row["doc_id"], recomputed.get((row["doc_id"], row["filter"]))
                    if values is None or number in skip:
                        continue
                    compared += 1
                    claimed = _values(row["metrics"], names)
                    sides = {_side(claim, value) for claim, value in zip(claimed, values, strict=True)}
                    above += 1 in sides
                    below += 1 not in sides and -1 in sides
                    first = number if first < 0 and sides - {0} else first
    except (pa.ArrowException, OSError, ValueError, OverflowError):
        yield {"error": "is no table of samples"}
        return
    yield {"compared": compared, "above": above, "below": below, "first": first}


def _recomputed(path: Path, names: list[str]) -> dict[tuple[int, str], list[Any]]:
    """(question, filter) → the values of the metrics `names`, from the file of recomputed metrics at `path`."""
    metrics = dict[tuple[int, str], list[Any]]()
    with path.open("rb") as file:
        while line := file.readline(MAX_LINE):
            sample = json.loads(line)
            metrics[sample["doc_id"], sample["filter"]] = [sample["metrics"].get(name) for name in names]
    return metrics


def _values(text: str | None, names: list[str]) -> list[Any]:
    try:
        metrics = json.loads(text or "")
    except (ValueError, RecursionError):
        metrics = {}
    return [metrics.get(name) if isinstance(metrics, dict) else None for name in names]


def _side(claimed: Any, value: Any) -> int:
    """0 if the claimed value is the computed one, 1 if it is above it or of another kind, -1 if it is below it."""
    if claimed == value:
        return 0
    claimed_sum, value_sum = _sum(claimed), _sum(value)
    if claimed_sum is None or value_sum is None or _length(claimed) != _length(value):
        return 1
    if math.isclose(claimed_sum, value_sum, rel_tol=TOLERANCE, abs_tol=TOLERANCE):
        return 0
    return 1 if claimed_sum > value_sum else -1


def _length(value: Any) -> int:
    return len(value) if isinstance(value, list) else -1


def _sum(value: Any) -> float | None:
    """A number, or the sum of a list of numbers; None for anything else. Numbers may be written as text."""
    if isinstance(value, list):
        numbers = [_sum(each) for each in value]
        return math.fsum(number for number in numbers if number is not None) if None not in numbers else None
    try:
        number = float(value)
    except (TypeError, ValueError, OverflowError):
        return None
    return number if math.isfinite(number) else None
