"""Makes tables of samples that yield given scores, for boards whose evaluations are simulated."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping
from functools import lru_cache

from leaderboard.details import table_path
from leaderboard.suites import Suite

TEXTS = ("doc", "prompt", "continuations", "target", "responses", "answers", "filter", "metrics")


def sample_tables(suite: Suite, raw: Mapping[str, Mapping[str, float]], time: str) -> dict[str, bytes]:
    """Path in a details repo → the table of each task of `suite`: one question, whose metrics are those in `raw`."""
    tables = dict[str, bytes]()
    for benchmark in suite.benchmarks:
        for task in benchmark.tasks:
            metrics = tuple((metric, raw[task.name][metric]) for metric in benchmark.metrics)
            tables[table_path(task.name, time)] = _table(metrics)
    return tables


@lru_cache(maxsize=1_000)
def _table(metrics: tuple[tuple[str, float], ...]) -> bytes:
    """A table of one question, with these values of metrics (`acc_norm,none`)."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    schema = pa.schema([("doc_id", pa.int64()), *((name, pa.string()) for name in TEXTS), ("score", pa.float64())])
    by_filter = dict[str, dict[str, float]]()
    for metric, value in metrics:
        name, _, of_filter = metric.partition(",")
        by_filter.setdefault(of_filter, {})[name] = value
    rows = [
        {
            **dict.fromkeys(TEXTS, "[]"),
            "doc_id": 0,
            "filter": of_filter,
            "metrics": json.dumps(values),
            "score": sum(values.values()) / len(values),
        }
        for of_filter, values in by_filter.items()
    ]
    file = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(rows, schema=schema), file, compression="zstd")
    return file.getvalue()
