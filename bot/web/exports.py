"""Any view of the leaderboard as a CSV or parquet file: the same address, filters and order as the page.

A file of more than LARGE rows costs seconds of processor time. So one client may have MAX_PER_MINUTE of them written in
a minute, AT_ONCE are written at a time, MAX_OPEN are sent at a time, and the writer pauses after each batch for
as long as it worked, so that pages are answered meanwhile. The file of the whole table is kept until the table changes,
and for KEPT_SECONDS in any case; while another one is written, the earlier one is sent.
"""

from __future__ import annotations

import csv
import io
import os
import re
import tempfile
import threading
import time
import weakref
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import IO, Any, Literal

from fastapi import APIRouter, Request
from fastapi.responses import Response, StreamingResponse

from bot.core.mirrors.contents_table import can_write
from bot.read_models.models import ErrorResponse
from bot.web.answers import FRESH, CannotAnswer
from bot.web.board import BoardReader
from bot.web.incoming import client_name, client_of, over_limit
from bot.web.leaderboard_rows import LeaderboardRows
from bot.web.leaderboard_view import LeaderboardRowView, row_view
from bot.web.pages.leaderboard import query_of_page
from bot.web.selection import Selected, Selection
from leaderboard.search import parse

FIELDS = (
    "rank",
    "model",
    "average",
    "average_error",
    "parameters",
    "precision",
    "weight_type",
    "category",
    "architecture",
    "licence",
    "likes",
    "submitted",
    "uploaded",
    "chat_template",
    "base_model",
    "generation",
    "co2",
    "revision",
    "merged",
    "moe",
    "official",
    "flagged",
    "available",
    "path",
    "asked",
)
_TEXTS = (
    "model",
    "precision",
    "weight_type",
    "category",
    "architecture",
    "licence",
    "submitted",
    "uploaded",
    "base_model",
    "revision",
    "path",
    "asked",
)
_FLAGS = ("chat_template", "merged", "moe", "official", "flagged", "available")
_WHOLE = ("rank", "likes", "generation")
LARGE, MAX_PER_MINUTE, AT_ONCE, MAX_OPEN = 2_000, 6, 2, 8
KEPT_SECONDS, RETRY_SECONDS = 60.0, 15
BATCH_ROWS, GROUP_ROWS = 50, 10_000
"""Rows between two pauses, about a millisecond's work; and rows of one row group of a parquet file."""
CHUNK_BYTES = 256 * 1024
TYPES = {"csv": "text/csv; charset=utf-8", "parquet": "application/vnd.apache.parquet"}
_FORMULA = re.compile(r"\s*[=+\-@\uff1d\uff0b\uff0d\uff20|]|[\t\r\n]")
"""Beginnings of texts that a spreadsheet would run as a formula, also in full-width characters."""


Kind = Literal["csv", "parquet"]
Batches = Iterable[list[dict[str, Any]]]


def export_routes(board: BoardReader) -> APIRouter:
    """The routes of both files."""
    routes, files = APIRouter(include_in_schema=False), ExportFiles(board)

    @routes.get("/leaderboard.csv")
    def csv_file(request: Request) -> Response:
        return _response("csv", files.file(request, "csv"))

    @routes.get("/leaderboard.parquet")
    def parquet_file(request: Request) -> Response:
        if not can_write():
            advice = "Take the CSV, or ask the operator to install the extra `contents`."
            raise CannotAnswer(
                501, ErrorResponse(code="no-parquet", message="This server has no pyarrow.", advice=advice)
            )
        return _response("parquet", files.file(request, "parquet"))

    return routes


def _response(kind: Kind, file: IO[bytes]) -> Response:
    size = os.fstat(file.fileno()).st_size
    disposition = f'attachment; filename="leaderboard.{kind}"'
    headers = {**FRESH, "content-disposition": disposition, "content-length": str(size)}
    return StreamingResponse(_chunks(file, size), media_type=TYPES[kind], headers=headers)


def _chunks(file: IO[bytes], size: int) -> Iterator[bytes]:
    """The content of a file that several clients may read at the same time."""
    for start in range(0, size, CHUNK_BYTES):
        yield os.pread(file.fileno(), CHUNK_BYTES, start)


@dataclass(frozen=True)
class KeptFile:
    """The file of the whole table `rows`, written at `time`."""

    file: IO[bytes]
    rows: weakref.ref[LeaderboardRows]
    time: float


class ExportFiles:
    """Writes the files, within the bounds of this module. Safe to share between threads."""

    def __init__(self, board: BoardReader) -> None:
        self._board = board
        self._whole: dict[Kind, KeptFile] = {}
        self._slots = threading.BoundedSemaphore(AT_ONCE)
        self._writing: set[Kind] = set()
        """The kinds of which the file of the whole table is being written."""
        self._open: weakref.WeakSet[IO[bytes]] = weakref.WeakSet()
        """The large files that are being written or sent, or are kept."""

    def file(self, request: Request, kind: Kind) -> IO[bytes]:
        """A file of the view that `request` names. Raises CannotAnswer."""
        query, rows = query_of_page(request, self._board), self._board.table.leaderboard()
        selected = rows.select(query.selection(self._board), parse(query.q))
        if len(selected.order) <= LARGE:
            return _written(kind, self._board.columns, _batches(rows, selected, pauses=False))
        is_whole, kept = selected.selection == Selection(), self._whole.get(kind)
        if is_whole and kept is not None and (kept.rows() is rows or time.monotonic() - kept.time < KEPT_SECONDS):
            return kept.file
        if is_whole and kept is not None and kind in self._writing:
            return kept.file
        self._limit(client_of(request))
        return self._write(kind, rows, selected, is_whole=is_whole)

    def _limit(self, client: str) -> None:
        counter = f"export {client_name(client)}"
        if wait := over_limit(self._board.context, counter, limit=MAX_PER_MINUTE):
            message = f"One client may have {MAX_PER_MINUTE} large files written in a minute."
            problem = ErrorResponse(code="too-many", message=message, advice="Wait, or take the file of all rows.")
            raise CannotAnswer(429, problem, {"retry-after": str(wait)})

    def _write(self, kind: Kind, rows: LeaderboardRows, selected: Selected, *, is_whole: bool) -> IO[bytes]:
        if len(self._open) >= MAX_OPEN or (is_whole and kind in self._writing) or not self._slots.acquire(False):
            problem = ErrorResponse(
                code="busy", message="Other large files are being written.", advice="Try again in a moment."
            )
            raise CannotAnswer(503, problem, {"retry-after": str(RETRY_SECONDS)})
        try:
            if is_whole:
                self._writing.add(kind)
            file = _written(kind, self._board.columns, _batches(rows, selected, pauses=True), keep=self._open.add)
            if is_whole:
                self._whole[kind] = KeptFile(file, weakref.ref(rows), time.monotonic())
            return file
        finally:
            if is_whole:
                self._writing.discard(kind)
            self._slots.release()


def _batches(rows: LeaderboardRows, selected: Selected, *, pauses: bool) -> Iterator[list[dict[str, Any]]]:
    """The selected rows in batches; with `pauses`, after each a pause as long as reading and writing it took."""
    numbers = iter(selected.order.tolist())
    while batch := list(islice(numbers, BATCH_ROWS)):
        began = time.perf_counter()
        yield [_fields(row_view(rows, selected, at, None), rows.benchmarks) for at in batch]
        if pauses:  # the caller has written the batch
            time.sleep(time.perf_counter() - began)


def _written(
    kind: Kind, benchmarks: Sequence[str], batches: Batches, *, keep: Callable[[IO[bytes]], None] = lambda _: None
) -> IO[bytes]:
    """A temporary file with the rows of `batches`, which the system deletes once it is closed."""
    file = tempfile.TemporaryFile(prefix="steward-export-")  # noqa: SIM115  it is sent after this function ends
    keep(file)
    names = _names(benchmarks)
    if kind == "csv":
        _write_csv(file, names, batches)
    else:
        _write_parquet(file, names, batches)
    file.flush()
    return file


def _names(benchmarks: Sequence[str]) -> list[str]:
    return [*FIELDS[:4], *benchmarks, *(f"{name}_error" for name in benchmarks), *FIELDS[4:]]


def _fields(row: LeaderboardRowView, benchmarks: Sequence[str]) -> dict[str, Any]:
    fields = {name: getattr(row, name) for name in FIELDS if name != "average_error"}
    fields |= {name: row.scores.get(name) for name in benchmarks}
    return fields | {f"{name}_error": row.errors.get(name) for name in ("average", *benchmarks)}


def _write_csv(file: IO[bytes], names: Sequence[str], batches: Batches) -> None:
    text = io.TextIOWrapper(file, "utf-8", errors="replace", newline="")
    # Quotes around texts: a spreadsheet may split lines at other characters than commas, and run what follows.
    writer = csv.writer(text, quoting=csv.QUOTE_NONNUMERIC)
    writer.writerow(names)
    for batch in batches:
        writer.writerows([_plain(row[name]) for name in names] for row in batch)
    text.detach()


def _plain(value: object) -> object:
    """A value that no spreadsheet takes for a formula."""
    return f"'{value}" if isinstance(value, str) and _FORMULA.match(value) else value


def _write_parquet(file: IO[bytes], names: Sequence[str], batches: Batches) -> None:
    """Write the file; one row group is in memory at a time."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    kinds = {
        **dict.fromkeys(_TEXTS, pa.string()),
        **dict.fromkeys(_FLAGS, pa.bool_()),
        **dict.fromkeys(_WHOLE, pa.int64()),
    }
    schema = pa.schema([(name, kinds.get(name, pa.float64())) for name in names])
    groups = (pa.RecordBatch.from_pylist(batch, schema=schema) for batch in batches)
    with pq.ParquetWriter(file, schema, compression="zstd") as writer:
        while group := list(islice(groups, GROUP_ROWS // BATCH_ROWS)):
            writer.write_table(pa.Table.from_batches(group, schema).combine_chunks())
