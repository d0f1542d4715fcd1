"""The table `contents` as a file, and a cache of its sources in one process.

Only boards with such a table need pyarrow, which the extra `contents` installs: the sync process loads it when it first
uses the table.
"""

from __future__ import annotations

import io
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib import util
from typing import TYPE_CHECKING, Any

from leaderboard.columns import ContentsColumn, ContentsRow, special_columns
from leaderboard.contents_row import HubModelInfo
from leaderboard.evaluations import MeasuredResults, OtherSuiteResults
from leaderboard.requests import Request

if TYPE_CHECKING:
    import pyarrow as pa

_WRITTEN_FOR = b"steward.front_end"
"""Metadata of a file with special columns: the front end that it was written for, which may not be the board's now."""
MAX_TABLE = 64 * 1024 * 1024
MISSING = (
    "The board has a table of contents, and pyarrow, which writes it, is not installed: "
    "run `pip install 'steward-leaderboard[contents]'`."
)


class BadContentsTable(ValueError):
    """A file of the contents repo is no readable table; the message says why."""


@dataclass(frozen=True)
class ContentsTable:
    """The table on the Hub: its bytes, their id, and its rows.

    `more`: the types of columns that are not Steward's; `special`: the columns that the file has for its front end.
    """

    data: bytes = b""
    oid: str = ""
    rows: tuple[ContentsRow, ...] = ()
    more: Mapping[str, Any] = field(default_factory=dict)
    special: tuple[ContentsColumn, ...] = ()


@dataclass
class ContentsCache:
    """Parsed files by path and blob id, so that only changed files are read again; removed files are dropped.

    The scoreboard is filled from these requests and results too.
    """

    requests: dict[tuple[str, str], Request | None] = field(default_factory=dict)
    results: dict[tuple[str, str], MeasuredResults | OtherSuiteResults | None] = field(default_factory=dict)
    table: ContentsTable = field(default_factory=ContentsTable)
    seen: tuple[str, ...] = ()
    """The state of the repos when the table was last up to date."""
    known: dict[str, tuple[str, HubModelInfo]] = field(default_factory=dict)
    """Model → id of the table at the time of this process's last question to the Hub, and the Hub's answer."""
    looked: dict[str, float] = field(default_factory=dict)
    """Model → time of the last question to the Hub about it."""
    due: float = 0.0
    """Time of the next questions about models."""
    rests_until: float = 0.0
    """Time before which this process compiles no other table."""


def can_write() -> bool:
    """Whether pyarrow, which reads and writes tables, is installed. Does not import it."""
    return util.find_spec("pyarrow") is not None


def read_table(data: bytes, oid: str, columns: Sequence[ContentsColumn], front_end: str = "") -> ContentsTable:
    """The table in a file's bytes, on a board with this front end. Raises BadContentsTable."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        # In this thread alone: at the process's exit, a thread of Arrow that releases a Python object would abort it.
        table = pq.ParquetFile(pa.BufferReader(data), pre_buffer=False).read(use_threads=False)
        rows = table.to_pylist()
    except (pa.ArrowException, OSError, ValueError) as error:
        raise BadContentsTable(f"The table of contents cannot be read: {str(error)[:200]}") from error
    special = _special_of(table.schema, front_end)
    names = {column.name for column in (*columns, *special)}
    more = {column.name: column.type for column in table.schema if column.name not in names}
    return ContentsTable(data, oid, tuple(_clean(row, columns, special, more) for row in rows), more, special)


def _special_of(schema: pa.Schema, front_end: str) -> tuple[ContentsColumn, ...]:
    """The special columns of a file. One that another program wrote has those of the board's front end, or none."""
    written_for = (schema.metadata or {}).get(_WRITTEN_FOR)
    if written_for is not None:
        return special_columns(written_for.decode(errors="replace"))
    special = special_columns(front_end)
    needed = [column.name for column in special if column.source and not column.exact]
    return special if all(name in schema.names for name in needed) else ()


def _clean(
    row: Mapping[str, Any],
    columns: Sequence[ContentsColumn],
    special: Sequence[ContentsColumn],
    more: Iterable[str],
) -> ContentsRow:
    read = {column.name: column.read(row.get(column.name)) for column in columns}
    for column in special:
        name, value = column.source or column.name, column.from_file(row)
        if not column.source or read[name] is None or (column.exact and value is not None):
            read[name] = value
    return read | {name: row.get(name) for name in more}


def write_table(
    rows: Sequence[ContentsRow], columns: Sequence[ContentsColumn], more: Mapping[str, Any], front_end: str = ""
) -> bytes:
    """The bytes of a table of `rows` for a front end; equal rows give equal bytes."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    special = {column.name: column for column in special_columns(front_end)}
    in_file = {column.name: column for column in columns} | special
    more = {name: kind for name, kind in more.items() if name not in in_file}
    types = {"text": pa.string(), "number": pa.float64(), "count": pa.int64(), "flag": pa.bool_()}
    schema = pa.schema([(name, types[column.kind]) for name, column in in_file.items()] + list(more.items()))
    if special:
        schema = schema.with_metadata({_WRITTEN_FOR: front_end})
        rows = [row | {name: column.in_file(row) for name, column in special.items()} for row in rows]
    buffer = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(list(rows), schema=schema), buffer)
    return buffer.getvalue()
