"""Writes the table of answers of a rescored evaluation: the evaluation's own, with new values where scoring makes them.

It has a row for each question and filter of the new scoring, and none for questions that the suite withdraws.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from itertools import groupby
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from leaderboard.suites import Benchmark
from workers.errors import RescoringRefused
from workers.publication.details import TEXTS, SampleRow, scored_again, write_rows

ROWS = 50
"""Rows in memory at a time: a row alone may have megabytes of text."""
COLUMNS = ("doc_id", *TEXTS, "score")


def write_rescored_table(earlier: Path, samples: Path, table: Path, benchmark: Benchmark) -> int:
    """Write `table`: the rows of the table `earlier` with the scores in the file `samples` of a rescoring.

    Return the number of rows. Raises RescoringRefused if the two are not of the same questions in the same order.
    """
    names = tuple(metric.partition(",")[0] for metric in benchmark.metrics)
    try:
        return write_rows(_rows(earlier, samples, names), table)
    except (pa.ArrowException, OSError, ValueError, KeyError) as error:
        raise RescoringRefused(
            f"the new table of answers cannot be written: {type(error).__name__}: {error}"
        ) from error


def _rows(earlier: Path, samples: Path, names: tuple[str, ...]) -> Iterator[SampleRow]:
    """The rows of each filter together, as a worker writes them."""
    for filter_name in _filters(samples):
        yield from _rows_of(earlier, samples, filter_name, names)


def _rows_of(earlier: Path, samples: Path, filter_name: str, names: tuple[str, ...]) -> Iterator[SampleRow]:
    rows, chosen = _earlier_rows(earlier), ""
    for scored in _samples(samples):
        if scored["filter"] != filter_name:
            continue
        for row in rows:
            chosen = chosen or row["filter"]
            if row["filter"] == chosen and row["doc_id"] == scored["doc_id"]:
                yield scored_again(row, filter_name, scored, names)
                break
        else:
            raise ValueError(f"question {scored['doc_id']} is not where it was")


def _filters(samples: Path) -> list[str]:
    """The filters of the first question, in their order: each question has all of them."""
    for _, lines in groupby(_samples(samples), key=lambda scored: scored["doc_id"]):
        return [scored["filter"] for scored in lines]
    return []


def _samples(samples: Path) -> Iterator[Mapping[str, Any]]:
    with samples.open(encoding="utf-8") as lines:
        yield from map(json.loads, lines)


def _earlier_rows(earlier: Path) -> Iterator[SampleRow]:
    with pq.ParquetFile(earlier, pre_buffer=False) as file:
        for batch in file.iter_batches(ROWS, columns=list(COLUMNS), use_threads=False):
            yield from batch.to_pylist()
