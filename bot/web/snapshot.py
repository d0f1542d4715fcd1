"""A snapshot of the leaderboard: one JSON file with all rows, for pages that show it without this server.

It holds, in columns, the fields of each row in the API, so that a page can search, filter and sort without a server.
Equal boards give equal bytes.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from typing import Any

from bot.core.context import BoardContext
from bot.web.board import BoardReader
from bot.web.leaderboard_columns import standard_columns
from bot.web.leaderboard_rows import LeaderboardRows
from bot.web.leaderboard_view import LeaderboardRowView, row_view
from bot.web.selection import Selection
from leaderboard.columns import FILE
from leaderboard.search import COLUMNS, fold

VERSION = 1
_EVERY = Selection(flagged=True, deleted=True)
_BY_BENCHMARK = ("scores", "errors")
_FIELDS = [name for name in LeaderboardRowView.model_fields if name not in (*_BY_BENCHMARK, "rank")]
"""The fields of a row that do not depend on the selection and have one value."""


def leaderboard_snapshot(context: BoardContext, ids: Collection[str]) -> bytes:
    """The snapshot of a board, with the evaluations of these `ids`."""
    board = BoardReader(context)
    rows = board.table.leaderboard()
    fields = {
        "version": VERSION,
        "title": context.board.title,
        "links": {
            "hub": context.hub.endpoint,
            "discussions": f"{context.address(context.community)}/discussions",
            "table": f"{context.address(context.contents)}/resolve/main/{FILE}" if context.contents is not None else "",
        },
        "columns": [
            column.model_dump()
            for column in standard_columns(board.columns, ranges=_has_ranges(rows), takes=context.takes)
        ],
        "search": search_columns(),
        "rows": snapshot_rows(rows, ids),
    }
    text = json.dumps(fields, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    return f"{text}\n".encode("utf-8", "replace")


def _has_ranges(rows: LeaderboardRows) -> bool:
    """Whether the snapshot has ranges of ranks: only if the pages compare its rows question by question."""
    return rows.has_errors and rows.is_paired


def search_columns() -> list[dict[str, Any]]:
    """The columns of the search language, with their folded names."""
    return [
        {
            "key": column.key,
            "title": column.title,
            "kind": column.kind,
            "names": [fold(name) for name in (column.title, column.key, *column.also)],
        }
        for column in COLUMNS
    ]


def snapshot_rows(rows: LeaderboardRows, ids: Collection[str]) -> dict[str, Any]:
    """The rows with these `ids` in columns: the fields of the API's rows, and further columns that searches read."""
    every, raw = rows.select(_EVERY), rows.select(replace(_EVERY, raw=True))
    shown = [at for at in every.order.tolist() if (rows.lines[at].id or rows.lines[at].path) in ids]
    shown.sort(key=lambda at: (-(rows.lines[at].average or 0.0), rows.lines[at].folded, rows.lines[at].path))
    ranges = rows.ranges(rows.select(Selection()), shown if _has_ranges(rows) else ())
    views = [row_view(rows, every, at, ranges.get(at)) for at in shown]
    names = list(rows.benchmarks)
    errors = [view.errors for view in views]
    return {
        **{name: _packed([getattr(view, name) for view in views]) for name in _FIELDS},
        "scores": _by_name([view.scores for view in views], names),
        "raw": _by_name([row_view(rows, raw, at, None).scores for at in shown], names),
        "errors": _by_name(
            errors, [name for name in ("average", *names) if any(name in errors_of_row for errors_of_row in errors)]
        ),
        "status": _packed([rows.lines[at].values.get("status") or "" for at in shown]),
        "submitter": _packed([rows.lines[at].values.get("submitter") or "" for at in shown]),
        "time": [int(rows.lines[at].time) for at in shown],
    }


def _by_name(values: Sequence[Mapping[str, float]], names: Sequence[str]) -> dict[str, list[float | None]]:
    return {name: [row.get(name) for row in values] for name in names}


def _packed(values: Sequence[Any]) -> object:
    """The values of a column; for one with few distinct texts or flags, these, and the index of each row's value."""
    if not all(value is None or isinstance(value, str | bool) for value in values):
        return values
    places = {value: place for place, value in enumerate(dict.fromkeys(values))}
    return {"of": list(places), "at": [places[value] for value in values]} if 2 * len(places) < len(values) else values
