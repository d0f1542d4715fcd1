"""The page of the leaderboard, and suggestions while a reader types.

The page works without a script. With it, filters and the search change the table in place, and rows load as a reader
scrolls.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any
from urllib.parse import urlencode

from fastapi import Request

from bot.core.commands.registry import model_in
from bot.read_models.models import ApiModel
from bot.web.board import BoardReader
from bot.web.incoming import choice, number, words
from bot.web.leaderboard_rows import SIZE_STEPS
from bot.web.leaderboard_view import (
    MAX_PINNED,
    LeaderboardQuery,
    LeaderboardResponse,
    columns_of,
    leaderboard,
)
from bot.web.page import Page, SearchText
from bot.web.pages.requests import requests_found
from leaderboard.categories import ModelCategory
from leaderboard.search import COLUMNS, fold, parse
from leaderboard.submission_kinds import SubmissionKinds

PAGE_ROWS, MAX_SUGGESTIONS = 40, 8
"""Rows of a page, and suggestions of one answer."""
_NO_FILTERS = ("q", "per", "raw", "sort", "rising", "pin", "column")
"""The fields of a query that are not filters: the search itself, and how its matches are shown."""

# --- suggestions


class SuggestionsResponse(ApiModel):
    """Searches that continue what a reader typed, the most likely first."""

    suggestions: list[str]


@dataclass(frozen=True)
class SuggestionsQuery:
    """The text that a reader has typed so far."""

    q: SearchText = ""


def suggestions(board: BoardReader, query: SuggestionsQuery) -> SuggestionsResponse:
    """Names of models, columns and their values that continue the last term of a search."""
    before, separator, last = query.q.rpartition(";")
    rows = board.table.leaderboard()
    head, colon, value = last.partition(":")
    if colon:
        column = next(
            (known for known in COLUMNS if fold(head) in map(fold, (known.title, *known.also))),
            None,
        )
        words = rows.values_like(column.key, fold(value)) if column is not None and column.kind == "words" else []
        ends = [f"{column.title}: {word}" for word in words] if column is not None else []
    else:
        typed = fold(last)
        titles = [f"{known.title}: " for known in COLUMNS if typed and fold(known.title).startswith(typed)]
        ends = [*titles, *(rows.models_like(typed) if len(typed) > 1 else [])]
    prefix = f"{before}{separator} " if separator else ""
    return SuggestionsResponse(suggestions=[prefix + end for end in ends[:MAX_SUGGESTIONS]])


SUGGESTIONS = Page(
    "/suggestions", "", suggestions, SuggestionsQuery, api_path="/api/suggestions", summary="Continue a search"
)


# --- the page


def query_of_page(request: Request, board: BoardReader) -> LeaderboardQuery:
    """The query of the page's address, without invalid values."""
    asked = request.query_params
    columns = columns_of(board)
    sorts = [column.key for column in columns if column.kind != "range"]
    keys = {column.key for column in columns}
    categories = [category for category in ModelCategory if category.value in asked.getlist("type")]
    precisions = [name for name in board.context.board.precisions if name in asked.getlist("precision")]
    return LeaderboardQuery(
        q=words(request, "q"),
        type=categories or None,
        precision=precisions or None,
        smallest=_size(asked.get("smallest", "")),
        largest=_size(asked.get("largest", "")),
        merges=words(request, "merges") != "0",
        moe=words(request, "moe") != "0",
        flagged=words(request, "flagged") == "1",
        deleted=words(request, "deleted") == "1",
        official=words(request, "official") == "1",
        per="model" if words(request, "per") == "model" else "evaluation",
        raw=words(request, "raw") == "1",
        sort=choice(request, "sort", sorts) or "average",
        rising=words(request, "rising") == "1",
        pin=list(dict.fromkeys(name[:1_200] for name in asked.getlist("pin")))[:MAX_PINNED] or None,
        offset=(number(request, "page", 1) - 1) * PAGE_ROWS,
        limit=PAGE_ROWS,
        column=list(dict.fromkeys(key for key in asked.getlist("column") if key in keys)) or None,
    )


def _size(value: str) -> float | None:
    """A number of billions in a query; None for other texts."""
    plain = value.strip()[:12]
    return float(plain) if plain.replace(".", "", 1).isascii() and plain.replace(".", "", 1).isdecimal() else None


def fields_of(query: LeaderboardQuery) -> list[tuple[str, str]]:
    """The query as fields of the page's address, without defaults: the same state has one address."""
    pairs: list[tuple[str, str]] = []
    for field in fields(query):
        value = getattr(query, field.name)
        if value == field.default or field.name in ("offset", "limit"):
            continue
        values = value if isinstance(value, list) else [value]
        pairs += [(field.name, _word(item)) for item in values]
    return pairs


def _word(value: object) -> str:
    if isinstance(value, bool):
        return "1" if value else "0"
    return f"{value:g}" if isinstance(value, float) else str(value)


@dataclass(frozen=True)
class QuickFilter:
    """A filter that people know by name, as a link; `sets` are the fields that it sets, for the script."""

    title: str
    explanation: str
    address: str
    sets: str
    active: bool


_SIZES = (
    ("For edge devices", "up to 3 billion parameters", None, 3.0),
    ("For consumers", "3 to 7 billion parameters", 3.0, 7.0),
    ("Mid-range", "7 to 65 billion parameters", 7.0, 65.0),
    ("For large machines", "more than 65 billion parameters", 65.0, None),
)


def _quick_filters(query: LeaderboardQuery, home: str) -> list[QuickFilter]:
    filters = []
    for title, explanation, smallest, largest in _SIZES:
        active = (query.smallest, query.largest) == (smallest, largest)
        changed = replace(query, smallest=None if active else smallest, largest=None if active else largest, offset=0)
        bounds = {"smallest": smallest, "largest": largest}
        sets = urlencode({name: "" if bound is None else _word(bound) for name, bound in bounds.items()})
        filters.append(QuickFilter(title, explanation, _address(changed, home=home), sets, active))
    official = _address(replace(query, official=not query.official, offset=0), home=home)
    explanation = "organisations that the board named"
    return [*filters, QuickFilter("Official providers", explanation, official, "official=1", query.official)]


def _address(query: LeaderboardQuery, page: int = 1, *, home: str = "/") -> str:
    pairs = fields_of(query) + ([("page", str(page))] if page > 1 else [])
    encoded = [(name, value.encode("utf-8", "replace")) for name, value in pairs]
    return f"{home}?{urlencode(encoded)}" if pairs else home or "?"


@dataclass(frozen=True)
class Missed:
    """Why a search found nothing: the number of evaluations that match without filters, which `address` shows; else the
    number of requests that match; else the model that the Hub may have, or ""."""

    hidden: int = 0
    address: str = ""
    requests: int = 0
    model: str = ""


def _missed(board: BoardReader, query: LeaderboardQuery, view: LeaderboardResponse) -> Missed:
    if view.count or not query.q or view.searched.misread:
        return Missed()
    every = replace(
        LeaderboardQuery(flagged=True, deleted=True), **{name: getattr(query, name) for name in _NO_FILTERS}
    )
    hidden = len(board.table.leaderboard().select(every.selection(board), parse(query.q)).order)
    requests = len(requests_found(board.table.rows(), query.q))
    if hidden or requests:
        return Missed(hidden, _address(every), requests)
    name = model_in(query.q, board.context.hub.endpoint) or ""
    return Missed(model=name if "/" in name and board.context.takes.models else "")


def _page_values(board: BoardReader, query: LeaderboardQuery, view: LeaderboardResponse) -> Mapping[str, object]:
    rows = board.table.leaderboard()
    context = board.context
    values = page_values(view, query, board.columns, context.board.precisions, rows.size_counts, takes=context.takes)
    return {**values, "paired": rows.is_paired, "missed": _missed(board, query, view)}


def page_values(
    view: LeaderboardResponse,
    query: LeaderboardQuery,
    benchmarks: Sequence[str],
    precisions: Sequence[str],
    counts: Sequence[int],
    *,
    takes: SubmissionKinds,
    home: str = "/",
) -> dict[str, object]:
    """The values that the page's template needs beside view and query; `home` is the page's own address."""

    def address(page: int = 1, **changes: Any) -> str:
        return _address(replace(query, offset=0, **changes), page, home=home)

    visible = set(query.column or (column.key for column in view.columns if column.shown))
    return {
        "address": address,
        "categories": ModelCategory,
        "precisions": precisions,
        "visible": visible,
        "columns": [column for column in view.columns if column.key in visible],
        "averaged": sum(name in visible for name in benchmarks),
        "benchmarks": benchmarks,
        "home": home,
        "site": "",
        "snapshot": "",
        "missed": Missed(),
        "quick": _quick_filters(query, home) if takes.models else [],
        "takes": takes,
        "steps": SIZE_STEPS,
        "bars": [round(40 * math.log1p(count) / math.log1p(max(counts) or 1), 1) for count in counts],
        "counts": counts,
        "page": view.offset // PAGE_ROWS + 1,
        "pages": max(1, math.ceil(view.count / PAGE_ROWS)),
        "export": _address(query)[1:],
    }


TABLE = Page(
    "/",
    "leaderboard",
    leaderboard,
    LeaderboardQuery,
    query_of_page=query_of_page,
    more_values=_page_values,
    menu="Leaderboard",
    api_path="/api/leaderboard",
    summary="The leaderboard",
)
