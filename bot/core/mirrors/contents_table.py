"""The table `contents` as a file, and a cache of its sources in one process.

Only boards with such a table need pyarrow, which the extra `contents` installs: the sync process loads it when it first
uses the table.
"""

from __future__ import annotations

import io
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib import util
from typing import Any

from leaderboard.columns import ContentsColumn, ContentsRow
from leaderboard.contents import HubModelInfo
from leaderboard.evaluations import MeasuredResults
from leaderboard.requests import Request

MAX_TABLE = 64 * 1024 * 1024
MISSING = (
    "The board has a table of contents, and pyarrow, which writes it, is not installed: "
    "run `pip install '.[contents]'` in a clone of Steward."
)


class BadContentsTable(ValueError):
    """A file of the contents repo is no readable table; the message says why."""


@dataclass(frozen=True)
class ContentsTable:
    """The table on the Hub: its bytes, their id, and its rows. `more`: the types of columns that are not Steward's."""

    data: bytes = b""
    oid: str = ""
    rows: tuple[ContentsRow, ...] = ()
    more: Mapping[str, Any] = field(default_factory=dict)


@dataclass
class ContentsCache:
    """Parsed files by path and blob id, so that only changed files are read again; removed files are dropped.

    The scoreboard is filled from these requests and results too.
    """

    requests: dict[tuple[str, str], Request | None] = field(default_factory=dict)
    results: dict[tuple[str, str], MeasuredResults | None] = field(default_factory=dict)
    table: ContentsTable = field(default_factory=ContentsTable)
    seen: tuple[str, ...] = ()
    """The state of the repos when the table was last up to date."""
    known: dict[str, tuple[str, HubModelInfo]] = field(default_factory=dict)
    """Model → id of the table at the time of this process's last question to the Hub, and the Hub's answer."""
    looked: dict[str, float] = field(default_factory=dict)
    """Model → time of the last question to the Hub about it."""
    due: float = 0.0
    """Time of the next questions about models."""


def can_write() -> bool:
    """Whether the library that tables need is installed. Loads nothing."""
    return util.find_spec("pyarrow") is not None


def read_table(data: bytes, oid: str, columns: Sequence[ContentsColumn]) -> ContentsTable:
    """The table in a file's bytes. Raises BadContentsTable."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        table = pq.read_table(io.BytesIO(data))
        rows = table.to_pylist()
    except (pa.ArrowException, OSError, ValueError) as error:
        raise BadContentsTable(f"The table of contents cannot be read: {str(error)[:200]}") from error
    ours = {column.name: column for column in columns}
    more = {column.name: column.type for column in table.schema if column.name not in ours}
    return ContentsTable(data, oid, tuple(_clean(row, columns, more) for row in rows), more)


def _clean(row: Mapping[str, Any], columns: Sequence[ContentsColumn], more: Iterable[str]) -> ContentsRow:
    own = {column.name: column.read(row.get(column.name)) for column in columns}
    return own | {name: row.get(name) for name in more}


def write_table(rows: Sequence[ContentsRow], columns: Sequence[ContentsColumn], more: Mapping[str, Any]) -> bytes:
    """The bytes of a table of `rows`; equal rows give equal bytes."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    types = {"text": pa.string(), "number": pa.float64(), "count": pa.int64(), "flag": pa.bool_()}
    schema = pa.schema([(column.name, types[column.kind]) for column in columns] + list(more.items()))
    buffer = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(list(rows), schema=schema), buffer)
    return buffer.getvalue()
