"""Any view of the leaderboard as a CSV or parquet file: the same address, filters and order as the page."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from itertools import islice
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import Response, StreamingResponse

from bot.core.mirrors.contents_table import can_write
from bot.read_models.models import ErrorResponse
from bot.web.answers import FRESH, CannotAnswer
from bot.web.board import BoardReader
from bot.web.leaderboard_view import LeaderboardRowView, selected_rows
from bot.web.pages.leaderboard import query_of_page

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
)
_FLAGS = ("chat_template", "merged", "moe", "official", "flagged", "available")
_WHOLE = ("rank", "likes", "generation")
BATCH_ROWS = 2_000
_FORMULA = ("=", "+", "-", "@", "\t", "\r")
"""Beginnings of texts that a spreadsheet would run as a formula."""


def export_routes(board: BoardReader) -> APIRouter:
    """The routes of both files."""
    routes = APIRouter(include_in_schema=False)

    @routes.get("/leaderboard.csv")
    def csv_file(request: Request) -> Response:
        headers = {**FRESH, "content-disposition": 'attachment; filename="leaderboard.csv"'}
        return StreamingResponse(_lines(request, board), media_type="text/csv; charset=utf-8", headers=headers)

    @routes.get("/leaderboard.parquet")
    def parquet_file(request: Request) -> Response:
        if not can_write():
            advice = "Take the CSV, or ask the operator to install the extra `contents`."
            raise CannotAnswer(
                501, ErrorResponse(code="no-parquet", message="This server has no pyarrow.", advice=advice)
            )
        headers = {**FRESH, "content-disposition": 'attachment; filename="leaderboard.parquet"'}
        return Response(_parquet(request, board), media_type="application/vnd.apache.parquet", headers=headers)

    return routes


def _rows(request: Request, board: BoardReader) -> Iterator[dict[str, Any]]:
    for row in selected_rows(board, query_of_page(request, board)):
        yield _fields(row, board.columns)


def _fields(row: LeaderboardRowView, benchmarks: list[str]) -> dict[str, Any]:
    scores = {name: row.scores.get(name) for name in benchmarks}
    errors = {f"{name}_error": row.errors.get(name) for name in benchmarks}
    own = {name: getattr(row, name) for name in FIELDS if name != "average_error"}
    ordered = {name: own.get(name) if name != "average_error" else row.errors.get("average") for name in FIELDS[:4]}
    return {**ordered, **scores, **errors, **own}


def _lines(request: Request, board: BoardReader) -> Iterator[str]:
    text = io.StringIO()
    writer = csv.DictWriter(text, _names(board))
    writer.writeheader()
    for at, row in enumerate(_rows(request, board)):
        writer.writerow({name: _plain(value) for name, value in row.items()})
        if at % 500 == 0:
            yield text.getvalue()
            text.seek(0)
            text.truncate()
    yield text.getvalue()


def _names(board: BoardReader) -> list[str]:
    return [*FIELDS[:4], *board.columns, *(f"{name}_error" for name in board.columns), *FIELDS[4:]]


def _plain(value: object) -> object:
    """A value that no spreadsheet takes for a formula."""
    return f"'{value}" if isinstance(value, str) and value.startswith(_FORMULA) else value


def _parquet(request: Request, board: BoardReader) -> bytes:
    """The file; one batch of rows is in memory at a time."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    kinds = {
        **dict.fromkeys(_TEXTS, pa.string()),
        **dict.fromkeys(_FLAGS, pa.bool_()),
        **dict.fromkeys(_WHOLE, pa.int64()),
    }
    schema = pa.schema([(name, kinds.get(name, pa.float64())) for name in _names(board)])
    sink, rows = io.BytesIO(), _rows(request, board)
    with pq.ParquetWriter(sink, schema, compression="zstd") as writer:
        while batch := list(islice(rows, BATCH_ROWS)):
            writer.write_table(pa.Table.from_pylist(batch, schema=schema))
    return sink.getvalue()
