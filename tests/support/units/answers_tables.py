"""Tables of stored answers to the questions of a small task."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from leaderboard.suites import Benchmark, Task

TASK = "small"
BENCHMARK = Benchmark(name="Small", source=TASK, tasks=(Task(name=TASK),), metrics=("acc,none",), shots=0)
DOC = json.dumps({"question": "What?"})
ANSWER = json.dumps([["It is."]])


def write(folder: Path, rows: list[dict[str, Any]], leave_out: str = "") -> Path:
    """Write a table of answers with these values; missing values get defaults."""
    names = [name for name in ("doc_id", "doc", "responses", "filter") if name != leave_out]
    schema = pa.schema([(name, pa.int64() if name == "doc_id" else pa.string()) for name in names])
    whole = [
        {"doc_id": number, "doc": DOC, "responses": ANSWER, "filter": "none"} | row for number, row in enumerate(rows)
    ]
    pq.write_table(pa.Table.from_pylist(whole, schema=schema), folder / "table.parquet", row_group_size=2)
    return folder / "table.parquet"
