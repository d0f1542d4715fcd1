"""Code in the fork: read the rows of a file of predictions, which is untrusted, as JSON lines, CSV or parquet.

A row is a list of the wanted columns' cells: a text, a number, or null. `{"what": …}`, a short description, replaces
any other value, and a text that is too long. The file is read a part at a time, and no more rows than allowed.
"""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from io import StringIO
from pathlib import Path
from typing import Any

_MAX_SHOWN = 5
"""Bad lines whose numbers are reported; all are counted."""
_BATCH_ROWS = 5_000
_MAX_UNPACKED = 128 * 2**20
"""Bytes of a parquet file's columns after decompression, by its own metadata. If those are false, the fork's limit of
memory ends the read."""
_MAX_CHARACTERS = 40_000_000
"""Characters of all cells: a small file may repeat a long text many times."""
_MAX_DIGITS = 40
_COMPRESSED = {
    b"\x1f\x8b": "gzip",
    b"PK\x03\x04": "zip",
    b"BZh": "bzip2",
    b"\xfd7zXZ": "xz",
    b"\x28\xb5\x2f\xfd": "zstd",
}
_OTHER_ENCODINGS = ((b"\xff\xfe", ": it looks like UTF-16"), (b"\xfe\xff", ": it looks like UTF-16"))


class UnreadableRows(Exception):
    """The file cannot be read; `code` is the code of a reason, `words` has the variables of its message."""

    def __init__(self, code: str, **words: object) -> None:
        super().__init__(code)
        self.code, self.words = code, words


def answers(folder: Path, question: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """Yield the rows of the file in `folder`, and the numbers of lines that are not rows; or the error."""
    bad: list[int] = []
    try:
        rows = list(
            _rows(folder / question["file"], question["format"], question["columns"], bad, question["max_rows"])
        )
    except UnreadableRows as error:
        yield {"error": error.code, "words": error.words}
        return
    yield {"rows": rows, "bad_lines": bad[:_MAX_SHOWN], "bad_count": len(bad)}


def _rows(
    path: Path, form: str, columns: Sequence[str], bad: list[int], max_rows: int
) -> Iterator[tuple[int, list[Any]]]:
    cells = _parquet(path, columns) if form == "parquet" else _text_rows(path, form, columns, bad)
    characters = 0
    for count, (number, row) in enumerate(cells):
        if count + len(bad) >= max_rows:
            raise UnreadableRows("predictions-rows", most=f"{max_rows:,}")
        characters += sum(len(value) for value in row if isinstance(value, str))
        if characters > _MAX_CHARACTERS:
            raise UnreadableRows("predictions-costly")
        yield number, [_cell(value) for value in row]


def _cell(value: Any) -> Any:
    if value is None or isinstance(value, bool):
        return value if value is None else {"what": "true or false"}
    if isinstance(value, str):
        return value if len(value) <= 10_000 else {"what": f"a text of {len(value):,} characters"}
    if isinstance(value, float):
        return value if math.isfinite(value) else {"what": "not a finite number"}
    if isinstance(value, int):
        return value if abs(value) < 10**_MAX_DIGITS else {"what": "a huge number"}
    return {"what": f"a {type(value).__name__}"}


def _text_rows(path: Path, form: str, columns: Sequence[str], bad: list[int]) -> Iterator[tuple[int, list[Any]]]:
    data = path.read_bytes()
    for start, kind in _COMPRESSED.items():
        if data.startswith(start):
            raise UnreadableRows("predictions-compressed", kind=kind)
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        guess = next((words for start, words in _OTHER_ENCODINGS if data.startswith(start)), "")
        raise UnreadableRows("predictions-encoding", guess=guess) from None
    return _csv(text, columns) if form == "csv" else _json_lines(text, columns, bad)


def _json_lines(text: str, columns: Sequence[str], bad: list[int]) -> Iterator[tuple[int, list[Any]]]:
    """Yield the number and the wanted fields of each line. A missing field is null, which the check reports later."""
    for number, line in enumerate(text.split("\n"), 1):
        if not line.strip():
            continue
        try:
            fields = json.loads(line)
        except (ValueError, RecursionError):
            fields = None
        if isinstance(fields, dict):
            yield number, [fields.get(name) for name in columns]
        else:
            bad.append(number)


def _csv(text: str, columns: Sequence[str]) -> Iterator[tuple[int, list[Any]]]:
    reader = csv.reader(StringIO(text, newline=""), strict=True)
    try:
        header = next(reader, [])
        places = _places(header, columns)
        for row in reader:
            if row:
                yield reader.line_num, [row[at] if at < len(row) else None for at in places]
    except csv.Error as error:
        why = f"line {reader.line_num}: {error}"
        raise UnreadableRows("predictions-unreadable", format="csv", why=why) from None


def _places(header: Sequence[str], columns: Sequence[str]) -> list[int]:
    if missing := [name for name in columns if header.count(name) != 1]:
        present = ", ".join(f"'{name[:40]}'" for name in header[:5]) or "no header"
        raise UnreadableRows(
            "predictions-fields", fields=" and ".join(f"'{name}'" for name in missing), present=present
        )
    return [header.index(name) for name in columns]


def _parquet(path: Path, columns: Sequence[str]) -> Iterator[tuple[int, list[Any]]]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        file = pq.ParquetFile(path)
        _places(file.schema_arrow.names, columns)
        _check_columns(file, columns)
        yield from enumerate(_parquet_rows(file, columns), 1)
    except (pa.ArrowException, OSError, UnicodeDecodeError, ValueError, OverflowError) as error:
        why = f"{type(error).__name__}: {str(error)[:120]}".replace(str(path), "the file")
        raise UnreadableRows("predictions-unreadable", format="parquet", why=why) from None


def _check_columns(file: Any, columns: Sequence[str]) -> None:
    """Refuse columns that are large when they are unpacked, and those of lists or objects."""
    import pyarrow as pa

    metadata = file.metadata
    groups = (metadata.row_group(at) for at in range(metadata.num_row_groups))
    if sum(group.total_byte_size for group in groups) > _MAX_UNPACKED:
        raise UnreadableRows("predictions-costly")
    for name in columns:
        if pa.types.is_nested(file.schema_arrow.field(name).type):
            raise UnreadableRows("predictions-unreadable", format="parquet", why=f"'{name}' holds lists or objects")


def _parquet_rows(file: Any, columns: Sequence[str]) -> Iterable[list[Any]]:
    for batch in file.iter_batches(_BATCH_ROWS, columns=list(columns), use_threads=False):
        values = [batch.column(name).to_pylist() for name in columns]
        yield from (list(row) for row in zip(*values, strict=True))
