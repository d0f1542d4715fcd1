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
    "The board has a table of contents, and pyarrow, which writes it, is not there: "
    "run `pip install '.[contents]'` in a clone of Steward."
)


class BadContentsTable(ValueError):
    """A file of the contents repo is no table that can be read; the message says why."""


@dataclass(frozen=True)
class ContentsTable:
    """The table as it is on the Hub: its bytes, their id, and its rows. Of columns of others `more` keeps the types."""

    data: bytes = b""
    oid: str = ""
    rows: tuple[ContentsRow, ...] = ()
    more: Mapping[str, Any] = field(default_factory=dict)


@dataclass
class ContentsCache:
    """What was read, by path and blob id, so that a changed file costs the reading of one; never more than there is.

    Requests and results are also what the scoreboard is filled up from.
    """

    requests: dict[tuple[str, str], Request | None] = field(default_factory=dict)
    results: dict[tuple[str, str], MeasuredResults | None] = field(default_factory=dict)
    table: ContentsTable = field(default_factory=ContentsTable)
    seen: tuple[str, ...] = ()
    """What the repos were at, when the table was last found to be right."""
    known: dict[str, tuple[str, HubModelInfo]] = field(default_factory=dict)
    """Model → id of the table that stood when this process asked the Hub about it, and what the Hub said."""
    looked: dict[str, float] = field(default_factory=dict)
    """Model → when the Hub was last asked about it."""
    due: float = 0.0
    """When models are to be asked about again."""


def can_write() -> bool:
    """Whether the library that tables need is installed. Loads nothing."""
    return util.find_spec("pyarrow") is not None


def read_table(data: bytes, oid: str, columns: Sequence[ContentsColumn]) -> ContentsTable:
    """The table in a file's bytes. Raises BadTable."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        found = pq.read_table(io.BytesIO(data))
        rows = found.to_pylist()
    except (pa.ArrowException, OSError, ValueError) as error:
        raise BadContentsTable(f"The table of contents cannot be read: {str(error)[:200]}") from error
    ours = {column.name: column for column in columns}
    more = {one.name: one.type for one in found.schema if one.name not in ours}
    return ContentsTable(data, oid, tuple(_clean(row, columns, more) for row in rows), more)


def _clean(row: Mapping[str, Any], columns: Sequence[ContentsColumn], more: Iterable[str]) -> ContentsRow:
    return {one.name: one.read(row.get(one.name)) for one in columns} | {name: row.get(name) for name in more}


def write_table(rows: Sequence[ContentsRow], columns: Sequence[ContentsColumn], more: Mapping[str, Any]) -> bytes:
    """The bytes of a table of `rows`: the same rows make the same bytes."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    types = {"text": pa.string(), "number": pa.float64(), "count": pa.int64(), "flag": pa.bool_()}
    schema = pa.schema([(one.name, types[one.kind]) for one in columns] + list(more.items()))
    into = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(list(rows), schema=schema), into)
    return into.getvalue()
