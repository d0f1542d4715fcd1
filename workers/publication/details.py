"""Writes the files of a details repo: one table per task with every answer, a table of scores, and the card.

All tables of samples share one schema, so that splits of different runs load together: what differs between tasks (a
question's fields, the names of metrics) is JSON text in its own column.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TypedDict

import yaml

from leaderboard.details import LATEST, RESULTS_CONFIG, parse_table_path, split_name, table_path
from leaderboard.results import ResultsFile
from leaderboard.suites import Suite
from workers.errors import EvaluationFailed

MAX_LINE_BYTES = 32 * 1024 * 1024
MAX_TEXT = 200_000
CUT = " … [cut]"
BATCH = 500
"""Rows of a table in memory at a time, at most."""
BATCH_CHARACTERS = 4_000_000
"""Characters of the rows after which a batch is written: a row alone may have MAX_TEXT in each of its texts."""
TEXTS = ("doc", "prompt", "continuations", "target", "responses", "answers", "filter", "metrics")
"""The text columns, which stand between `doc_id` and `score`."""


def write_samples(
    samples: Path,
    table: Path,
    metrics: Sequence[str],
    collect: Callable[[Mapping[str, Any]], None] | None = None,
    as_row: RowOf | None = None,
) -> int:
    """Turn `samples` (JSON Lines) into a Parquet table; return the number of rows.

    `as_row` makes a row of a line; without it, lines are as the harness writes them. `metrics` are the benchmark's
    (`acc_norm,none`): `score` is their mean. `collect` is called with each row. One batch of rows is in memory at a
    time, which is small also where answers are long.
    Raises EvaluationFailed if a line is invalid.
    """
    names = tuple(metric.partition(",")[0] for metric in metrics)
    return write_rows(((as_row or sample_row)(line, names) for line in _lines(samples)), table, collect)


def write_rows(
    rows: Iterable[SampleRow], table: Path, collect: Callable[[Mapping[str, Any]], None] | None = None
) -> int:
    """Write a table of samples; return the number of rows. `collect` is called with each row."""
    import pyarrow as pa  # heavy, and needed only at the end of an attempt
    import pyarrow.parquet as pq

    schema = pa.schema([("doc_id", pa.int64()), *((name, pa.string()) for name in TEXTS), ("score", pa.float64())])
    count = 0
    with pq.ParquetWriter(table, schema, compression="zstd") as writer:
        for batch in _batches(rows):
            writer.write_table(pa.Table.from_pylist(batch, schema=schema))
            count += len(batch)
            if collect is not None:
                for row in batch:
                    collect(row)
    return count


def _batches(rows: Iterable[SampleRow]) -> Iterator[list[SampleRow]]:
    batch, characters = list[SampleRow](), 0
    for row in rows:
        batch.append(row)
        characters += sum(len(value) for value in row.values() if isinstance(value, str))
        if len(batch) == BATCH or characters >= BATCH_CHARACTERS:
            yield batch
            batch, characters = [], 0
    if batch:
        yield batch


def _lines(path: Path) -> Iterator[bytes]:
    """The lines of a file that a child wrote. Raises EvaluationFailed on one longer than MAX_LINE_BYTES."""
    with path.open("rb") as file:
        while line := file.readline(MAX_LINE_BYTES):
            if len(line) == MAX_LINE_BYTES:
                raise EvaluationFailed(f"{path.name} has a line of more than {MAX_LINE_BYTES} bytes")
            yield line


class SampleRow(TypedDict):
    """One row of a table of samples."""

    doc_id: int
    doc: str
    prompt: str
    continuations: str
    target: str
    responses: str
    answers: str
    filter: str
    metrics: str
    score: float | None


RowOf = Callable[[bytes, Sequence[str]], SampleRow]
"""Makes a row of a line of samples; gets the names of the benchmark's metrics."""


def sample_row(line: bytes, metrics: Sequence[str]) -> SampleRow:
    """One answer as a row. Raises EvaluationFailed if the line is not as the harness writes it."""
    try:
        sample = json.loads(line)
        requests = [sample["arguments"][key] for key in sorted(sample["arguments"], key=_number_in)]
        return {
            "doc_id": int(sample["doc_id"]),
            "doc": json_text(sample["doc"]),
            "prompt": text_of(requests[0]["arg_0"]),
            "continuations": json_text([request.get("arg_1") for request in requests]),
            "target": text_of(sample["target"]),
            "responses": json_text(sample["resps"]),
            "answers": json_text(sample["filtered_resps"]),
            "filter": text_of(sample["filter"]),
            "metrics": json_text({name: sample.get(name) for name in sample["metrics"]}),
            "score": mean_of([_value(sample.get(name)) for name in metrics]),
        }
    except (ValueError, KeyError, IndexError, TypeError, AttributeError, RecursionError, OverflowError) as error:
        raise EvaluationFailed(f"a sample is not what the harness writes: {type(error).__name__}: {error}") from error


def scored_again(row: SampleRow, filter_name: str, scored: Mapping[str, Any], metrics: Sequence[str]) -> SampleRow:
    """The row with new scores: `scored` has its filtered `answers` and its `metrics`."""
    values = scored["metrics"]
    return {
        **row,
        "answers": json_text(scored["answers"]),
        "filter": filter_name,
        "metrics": json_text(values),
        "score": mean_of([_value(values.get(name)) for name in metrics]),
    }


def _number_in(key: str) -> int:
    """The number in a key, such as 12 in `gen_args_12`: sorted as text, 12 would come before 2."""
    return int(key.rpartition("_")[2])


def json_text(value: Any) -> str:
    """`value` as JSON text of bounded length."""
    return text_of(json.dumps(value, ensure_ascii=False))


def text_of(value: Any) -> str:
    """`value` as text of bounded length, without characters that cannot be encoded."""
    text = str(value)
    text = text if len(text) <= MAX_TEXT else text[:MAX_TEXT] + CUT
    return text.encode("utf-8", "replace").decode()


def _value(value: Any) -> float | None:
    """A metric of one sample as a number; a list (one value per instruction) as its mean."""
    if isinstance(value, bool | int | float):
        return float(value)
    if isinstance(value, list):
        return mean_of([_value(item) for item in value])
    return None


def mean_of(values: Sequence[float | None]) -> float | None:
    """The mean of the numbers among `values`; None if there are none."""
    numbers = [value for value in values if value is not None]
    return sum(numbers) / len(numbers) if numbers else None


def write_scores(results: ResultsFile, table: Path) -> None:
    """Write the scores as a Parquet table: a row for each task, each benchmark, and the average."""
    import pyarrow as pa  # heavy, and needed only at the end of an attempt
    import pyarrow.parquet as pq

    schema = pa.schema(
        [
            *((name, pa.string()) for name in ("kind", "name", "benchmark", "model", "revision", "attempt", "suite")),
            *((name, pa.float64()) for name in ("raw", "normalised")),
        ]
    )
    pq.write_table(pa.Table.from_pylist(list(score_rows(results)), schema=schema), table, compression="zstd")


class ResultRow(TypedDict, total=False):
    """A row of the table of scores."""

    kind: str
    name: str
    benchmark: str
    model: str
    revision: str
    attempt: str
    suite: str
    raw: float
    normalised: float


def score_rows(results: ResultsFile) -> Iterator[ResultRow]:
    """A row for each task, each benchmark, and the average (which has no raw score)."""
    block = results.block
    run_columns: ResultRow = {
        "model": block.model,
        "revision": block.revision,
        "attempt": block.attempt,
        "suite": block.suite,
    }
    for benchmark in results.scores.benchmarks:
        columns: ResultRow = {**run_columns, "benchmark": benchmark.name}
        for task in benchmark.tasks:
            yield {**columns, "kind": "task", "name": task.name, "raw": task.raw, "normalised": task.normalised}
        yield {
            **columns,
            "kind": "benchmark",
            "name": benchmark.name,
            "raw": benchmark.raw,
            "normalised": benchmark.normalised,
        }
    yield {**run_columns, "kind": "average", "name": "average", "normalised": results.scores.average}


# --- the card


def card(repo: str, paths: Sequence[str], results: ResultsFile, suite: Suite, restricted_repo: str) -> str:
    """The README of `repo`, which holds the files `paths`; `results` are those of the newest run.

    `restricted_repo` is the repo of the answers to restricted benchmarks.
    """
    tables: dict[str, list[str]] = {}
    for config, time in filter(None, map(parse_table_path, paths)):
        tables.setdefault(config, []).append(time)
    head = {
        "pretty_name": f"Evaluation details of {results.block.model}",
        "tags": ["leaderboard", "evaluation"],
        "configs": [_config(config, sorted(times)) for config, times in sorted(tables.items())],
    }
    about = _about(repo, list(tables), results, suite, restricted_repo)
    return f"---\n{yaml.safe_dump(head, sort_keys=False, allow_unicode=True)}---\n\n{about}"


def _config(config: str, times: Sequence[str]) -> dict[str, object]:
    """One config of the card's head: a split for each run, and `latest` for the newest."""
    runs = [{"split": split_name(time), "path": [table_path(config, time)]} for time in times]
    latest = {"split": LATEST, "path": [table_path(config, times[-1])]}
    default = {"default": True} if config == RESULTS_CONFIG else {}
    return {"config_name": config, "data_files": [*runs, latest], **default}


def _about(repo: str, configs: Sequence[str], results: ResultsFile, suite: Suite, restricted_repo: str) -> str:
    block = results.block
    rows = "".join(
        f"| {b.name} | {b.raw:.4f} | {_with_error(b.normalised, block.errors.get(b.name))} |\n"
        for b in results.scores.benchmarks
    )
    scores = f" The config\n`{RESULTS_CONFIG}` holds the scores as a table." if RESULTS_CONFIG in configs else ""
    restricted = _restricted_note(repo, suite, restricted_repo)
    first = next((task for task in suite.tasks if task in configs), RESULTS_CONFIG)
    return f"""\
# Evaluation details of {block.model}

Every question that [{block.model}](/{block.model}) was asked at commit `{block.revision}`, with its prompt, the
model's answer and its score. One config a task; a split for each run, and `latest` for the newest.{scores}{restricted}

```python
from datasets import load_dataset

answers = load_dataset("{repo}", "{first}", split="{LATEST}")
```

The newest run: suite `{suite.name}` ({suite.title}), precision {block.precision}, finished {block.ended}.

| benchmark | raw (0-1) | score (0-100) ± standard error |
|---|---|---|
{rows}| **Average** | | **{_with_error(results.scores.average, block.average_error)}** |
"""


def _restricted_note(repo: str, suite: Suite, restricted_repo: str) -> str:
    """A paragraph that says where the answers to restricted benchmarks are; "" for a suite without such benchmarks."""
    names = ", ".join(benchmark.name for benchmark in suite.benchmarks if benchmark.restricted)
    if not names:
        return ""
    if repo == restricted_repo:
        return f"\n\nOnly answers to benchmarks whose questions must not be public are here: {names}."
    link = f"[a gated repo](/datasets/{restricted_repo})"
    return f"\n\nThe questions of these benchmarks must not be public, so the answers to them are in {link}: {names}."


def _with_error(score: float, error: float | None) -> str:
    return f"{score:.2f}" if error is None else f"{score:.2f} ± {error:.2f}"
