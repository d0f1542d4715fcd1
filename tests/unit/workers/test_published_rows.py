"""How a cross-check reads tables of answers that a hostile worker may have published."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from subprocess import CompletedProcess
from types import SimpleNamespace
from typing import Any, cast

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from leaderboard.cross_checks import CheckedQuestion
from tests.support.units.details_samples import STARTER
from workers.errors import TableNotRead, TableRefused
from workers.jobs import published_rows as module
from workers.jobs.cross_check import CrossCheckRun
from workers.jobs.published_rows import published_rows
from workers.jobs.row_verdicts import row_verdict
from workers.jobs.table_process import READY, WantedRows, wanted_rows
from workers.publication.details import MAX_TEXT, TEXTS, SampleRow, write_rows

Write = Callable[[Path], object]


def row(number: int, **changes: Any) -> dict[str, Any]:
    """A row as a worker writes it."""
    return {"doc_id": number, **dict.fromkeys(TEXTS, "[]"), "filter": "none", "score": 1.0, **changes}


def written(columns: Mapping[str, Any], **options: Any) -> Write:
    """A function that writes a table with these columns in place of the usual ones."""
    usual = {"doc_id": pa.array([0, 1]), **{name: pa.array(["[]", "[]"]) for name in TEXTS}}
    return lambda path: pq.write_table(pa.table({**usual, **columns}), path, **options)


def bomb(path: Path) -> None:
    """Write a table of a few kilobytes whose forty rows expand to gigabytes, as all refer to one long text."""
    rows = {"doc_id": pa.array(range(40)), **{name: pa.array(["[]"] * 40) for name in TEXTS}}
    rows["responses"] = pa.DictionaryArray.from_arrays(pa.array([0] * 40, pa.int32()), pa.array(["x" * 40_000_000]))
    pq.write_table(pa.table(rows), path, compression="zstd", store_schema=False)
    assert path.stat().st_size < 100_000


def torn(path: Path) -> None:
    """Write a table, then overwrite its first half."""
    written({"prompt": pa.array(["x" * 100, "y" * 100])})(path)
    data = bytearray(path.read_bytes())
    data[4 : len(data) // 2] = b"\xff" * (len(data) // 2 - 4)
    path.write_bytes(data)


@pytest.mark.parametrize(
    ("write", "words"),
    [
        (lambda path: path.write_bytes(b"PAR1" + b"\xff" * 4_000 + b"PAR1"), "thrift|footer|metadata"),
        (lambda path: path.write_bytes(b""), "size is 0|too small"),
        (torn, "."),
        (written({"prompt": pa.array(["x" * (MAX_TEXT + 100), "y"])}), "longer"),
        (written({"prompt": pa.array([None, "y"])}), "missing"),
        (written({"prompt": pa.array([["a"], ["b"]])}), "no table of answers"),
        (written({"doc_id": pa.array(["0", "1"])}), "no table of answers"),
        (written({"prompt": pa.array([b"\xff\xfe", b"y"]).view(pa.string())}), "utf-8"),
        (lambda path: pq.write_table(pa.table({"doc_id": [0]}), path), "no table of answers"),
        (lambda path: write_rows([row(0)] * 200, path), "more of one question"),  # type: ignore[list-item]
    ],
)
def test_a_hostile_table_ends_in_a_reason(tmp_path: Path, write: Write, words: str) -> None:
    """Reading a malformed or oversized table raises an error with the reason."""
    write(tmp_path / "table")
    with pytest.raises((TableRefused, pa.ArrowException, OSError, ValueError), match=words):
        list(wanted_rows(tmp_path / "table", WantedRows([0, 1], TEXTS, MAX_TEXT)))


def test_rows_come_from_a_process_with_limits(tmp_path: Path) -> None:
    """The reading process returns the wanted questions' rows, and fails on a table that needs too much memory."""
    rows = [row(number, filter=name, prompt=f"é{number}") for number in range(700) for name in ("a", "b")]
    write_rows(rows, tmp_path / "table")  # type: ignore[arg-type]  # as a worker does
    published = published_rows(tmp_path / "table", [3, 650, 10_000])
    assert [
        (published_row["doc_id"], published_row["filter"], published_row["prompt"]) for published_row in published
    ] == [(number, name, f"é{number}") for number in (3, 650) for name in ("a", "b")]
    assert set(published[0]) == {"doc_id", *TEXTS}
    bomb(tmp_path / "bomb")
    with pytest.raises(TableRefused, match="memory"):
        published_rows(tmp_path / "bomb", [0, 1])


def test_the_process_imports_no_pandas(tmp_path: Path) -> None:
    """The reading process does not import pandas, which would cost time and memory."""
    write_rows(cast(list[SampleRow], [row(0)]), tmp_path / "table")
    code = (
        "import sys; from pathlib import Path; from workers.jobs.table_process import WantedRows, wanted_rows; "
        "print(len(list(wanted_rows(Path(sys.argv[1]), WantedRows([0], ['prompt'], 9)))), 'pandas' in sys.modules)"
    )
    command = [sys.executable, "-c", code, str(tmp_path / "table")]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["1", "False"]


@pytest.mark.parametrize(
    ("status", "output", "error"),
    [
        (0, READY + b'"is none"\n', TableRefused),
        (-signal.SIGXCPU, READY, TableRefused),
        (-signal.SIGSEGV, READY, TableRefused),
        (1, READY, TableRefused),
        (-signal.SIGKILL, READY, TableNotRead),
        (1, b"", TableNotRead),
    ],
)
def test_a_failure_is_the_tables_or_the_machines(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, status: int, output: bytes, error: type[Exception]
) -> None:
    """Only failures that the table causes are blamed on its author; the reading process has no token."""
    monkeypatch.setenv("STEWARD_WORKER_TOKEN", "hf_" + "a" * 30)
    environment = dict[str, str]()

    def run(_: list[str], **options: Any) -> CompletedProcess[bytes]:
        environment.update(options["env"])
        return CompletedProcess([], status, output, b"")

    monkeypatch.setattr(module.subprocess, "run", run)
    with pytest.raises(error):
        published_rows(tmp_path / "table", [0])
    assert environment and "STEWARD_WORKER_TOKEN" not in environment


def test_a_refused_table_does_not_affect_other_tasks() -> None:
    """If the table of one task is refused, the check keeps the reason and reads the questions of the other tasks."""
    first, second = STARTER.tasks[:2]
    order = SimpleNamespace(questions=(CheckedQuestion(first, 0), CheckedQuestion(second, 1)))

    def rows_of(_: object, task: str, numbers: set[int]) -> list[dict[str, Any]]:
        if task == first:
            raise TableRefused("its table of answers takes too much memory to read")
        return [row(number) for number in numbers]

    run = CrossCheckRun.__new__(CrossCheckRun)
    run._order, run._worker_context = order, SimpleNamespace(suite=STARTER)  # type: ignore[assignment]
    rows, refused = run._published(SimpleNamespace(rows_of=rows_of))  # type: ignore[arg-type]
    assert list(rows) == [CheckedQuestion(second, 1)]
    assert refused == {first: "its table of answers takes too much memory to read"}


def test_metrics_that_cannot_be_parsed_count_as_different() -> None:
    """Published metrics with thousands of nested brackets count as different, without an error."""
    deep = {**row(0), "metrics": '{"acc": 1.0, "x": ' + "[" * 5_000 + "]" * 5_000 + "}"}
    assert row_verdict([deep], ("agrees", ""), [row(0)], may_be_smaller=True)[0] == "differs"
