"""Files of predictions are read in a process with limits: valid ones in three formats, and hostile ones."""

from __future__ import annotations

import gzip
import io
import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from bot.probe import Probe, prediction_files
from bot.probe.questions import PredictionCells
from leaderboard.prediction_reasons import REASONS

ROWS = [["q1", "red"], ["q2", 'gr\u00fcn, "quoted"\nline\u2028x']]


def read(probe: Probe, data: bytes, form: str, *, max_rows: int = 1_000) -> PredictionCells:
    """The probe's answer about a file."""
    return probe.predictions(data, form, ("id", "prediction"), max_rows=max_rows)


def parquet(columns: dict[str, Any], **options: Any) -> bytes:
    """A parquet file with these columns."""
    buffer = io.BytesIO()
    pq.write_table(pa.table(columns), buffer, **options)
    return buffer.getvalue()


def as_lines(rows: list[dict[str, Any]]) -> bytes:
    """The rows as JSON lines."""
    return b"".join(json.dumps(row).encode() + b"\n" for row in rows)


GOOD = {
    "jsonl": as_lines([{"more": 1, "prediction": value, "id": id_} for id_, value in ROWS]) + b"\n  \r\n",
    "csv": '\ufeffprediction,id,more\r\nred,q1,x\r\n"gr\u00fcn, ""quoted""\nline\u2028x",q2,\r\n'.encode(),
    "parquet": parquet({"id": [row[0] for row in ROWS], "x": [[1], [2]], "prediction": [row[1] for row in ROWS]}),
}


@pytest.mark.parametrize("form", list(GOOD))
def test_each_format_gives_the_same_rows(probe: Probe, form: str) -> None:
    """All formats give the same rows, despite extra columns, blank lines, a byte order mark or quoted line breaks."""
    table = read(probe, GOOD[form], form)
    assert (table.error, table.bad_count) == ("", 0)
    assert [list(cells) for _, cells in table.rows] == ROWS


def test_cells_that_are_no_values_are_described(probe: Probe) -> None:
    """Cells that cannot be predictions (lists, objects, booleans, long texts) are described; the others are read."""
    cells: list[Any] = [[1], {"a": 1}, True, None, "x" * 10_001, 10**50, 1.5]
    table = read(probe, as_lines([{"id": 1, "prediction": cell} for cell in cells]), "jsonl")
    shown = [cells[1] for _, cells in table.rows]
    assert shown == [
        {"what": "a list"},
        {"what": "a dict"},
        {"what": "true or false"},
        None,
        {"what": "a text of 10,001 characters"},
        {"what": "a huge number"},
        1.5,
    ]


def test_lines_that_are_no_rows_are_counted(probe: Probe) -> None:
    """Lines that are not JSON objects are counted, and the numbers of the first five are reported."""
    data = b'{"id": "q1", "prediction": "red"}\n' + b"[" * 100_000 + b"\n" + b"[1]\nx\n1\nnull\n" + b'"a"\n{'
    table = read(probe, data, "jsonl")
    assert (len(table.rows), table.bad_lines, table.bad_count) == (1, (2, 3, 4, 5, 6), 7)


TEXT = "id,prediction\nq1,red\n"
HOSTILE: list[tuple[str, bytes, str, str]] = [
    ("utf-16", TEXT.encode("utf-16"), "csv", "predictions-encoding"),
    ("latin-1", "id,prediction\nq1,gr\u00fcn\n".encode("latin-1"), "csv", "predictions-encoding"),
    ("gzip", gzip.compress(TEXT.encode()), "csv", "predictions-compressed"),
    ("zip", b"PK\x03\x04" + b"x" * 50, "jsonl", "predictions-compressed"),
    ("no header", b"", "csv", "predictions-fields"),
    ("two columns of one name", b"id,id,prediction\n1,2,3\n", "csv", "predictions-fields"),
    ("other columns", b"question,label\n1,2\n", "csv", "predictions-fields"),
    ("open quote", b'id,prediction\n"q1,red\n', "csv", "predictions-unreadable"),
    ("a field without end", b"id,prediction\nq1," + b"x" * 200_000 + b"\n", "csv", "predictions-unreadable"),
    ("too many rows", b"id,prediction\n" + b"a,b\n" * 1_001, "csv", "predictions-rows"),
    ("too many bad lines", b"x\n" * 2_000 + b'{"id": 1}\n', "jsonl", "predictions-rows"),
    ("no parquet", b"PAR1" + b"\x00" * 100 + b"PAR1", "parquet", "predictions-unreadable"),
    ("half a parquet", GOOD["parquet"][: len(GOOD["parquet"]) // 2], "parquet", "predictions-unreadable"),
    ("nested", parquet({"id": ["a"], "prediction": [["b"]]}), "parquet", "predictions-unreadable"),
    ("other fields", parquet({"id": ["a"], "label": ["b"]}), "parquet", "predictions-fields"),
]


@pytest.mark.parametrize(("data", "form", "code"), [row[1:] for row in HOSTILE], ids=[row[0] for row in HOSTILE])
def test_hostile_files_end_in_a_reason(probe: Probe, data: bytes, form: str, code: str) -> None:
    """Each hostile file is rejected with a code, whose message can be rendered."""
    table = read(probe, data, form)
    assert table.error == code
    words = {"id": "id", "prediction": "prediction", "most": "1", **table.words}
    assert REASONS[code].problem(**words).message


def test_a_long_text_that_repeats_is_refused(probe: Probe) -> None:
    """A file of a few kilobytes that repeats a long text many times is rejected as too costly."""
    repeated = parquet({"id": list(range(900)), "prediction": ["x" * 60_000] * 900}, compression="zstd")
    assert len(repeated) < 10_000
    assert read(probe, repeated, "parquet").error == "predictions-costly"


def test_columns_that_unpack_to_too_much_are_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Columns that, by the file's metadata, are too large uncompressed are rejected."""
    monkeypatch.setattr(prediction_files, "_MAX_UNPACKED", 1_000_000)
    packed = parquet({"id": [1], "prediction": ["x" * 2_000_000]}, compression="zstd", use_dictionary=False)
    assert len(packed) < 10_000
    (tmp_path / "file").write_bytes(packed)
    question = {"file": "file", "format": "parquet", "columns": ["id", "prediction"], "max_rows": 10}
    (answer,) = prediction_files.answers(tmp_path, question)
    assert answer["error"] == "predictions-costly"
