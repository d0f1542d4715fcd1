"""Two pages: all requests, searched and filtered by state; and one request with its past, its scores and its flags."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Literal

from fastapi import Path
from pydantic import Field

from bot.core.context import BoardContext
from bot.core.log_repos import public_log
from bot.read_models import serializers
from bot.read_models.models import PATH, ApiModel, RequestSummaryView, RequestView, State
from bot.web.board import BoardReader, EvaluationScoresView, SearchView, page_of, searched
from bot.web.flags import FlagView
from bot.web.incoming import choice, number, words
from bot.web.page import PAGE_ROWS, NotPublic, Page, PageNumber, PageSize, SearchText
from bot.web.rows import RequestRows
from leaderboard.request_history import Reopening, newest_reopenings
from leaderboard.search import parse

STATES: tuple[State, ...] = ("waiting", "running", "finished", "failed", "cancelled", "new", "elsewhere")
"""The states that the page offers as a filter."""


class RequestTableResponse(ApiModel):
    """A page of the requests that a search found, newest first."""

    searched: SearchView
    requests: list[RequestSummaryView]
    page: int
    pages: int


@dataclass(frozen=True)
class SearchQuery:
    """A search in all requests; without `state`, in any state."""

    q: SearchText = ""
    state: State | None = None
    page: PageNumber = 1
    limit: PageSize = 100


def search(board: BoardReader, query: SearchQuery) -> RequestTableResponse:
    """Requests in any state, newest first, found by the same query language as `/search` in a thread."""
    rows, terms, state = board.table.rows(), parse(query.q), query.state or ""
    matching = requests_found(rows, query.q, state)
    order = rows.once(("newest", query.q, state), lambda: rows.in_order(matching, "time", rising=False))
    page, pages, part = page_of(order, query.page, query.limit)
    entries = board.context.index.find([rows.lines[at].path for at in part])
    public = [entry for entry in entries if entry is not None and not entry.is_private]
    return RequestTableResponse(
        searched=searched(rows, query.q, terms, len(matching)),
        requests=serializers.summaries(board.context, public),
        page=page,
        pages=pages,
    )


def requests_found(rows: RequestRows, q: str, state: str = "") -> Sequence[int]:
    """The requests that the search `q` finds in `state`, or in any state."""
    return rows.once(("requests", q, state), lambda: rows.find(parse(q), rows.of_state(state)))


def _page_values(board: BoardReader, query: SearchQuery, view: RequestTableResponse) -> Mapping[str, object]:
    is_missed = query.state is not None and not view.searched.count
    elsewhere = len(requests_found(board.table.rows(), query.q)) if is_missed and query.q else 0
    return {"q": query.q, "state": query.state or "", "states": STATES, "elsewhere": elsewhere}


LIST = Page(
    "/requests",
    "requests",
    search,
    SearchQuery,
    query_of_page=lambda request, _: SearchQuery(
        words(request, "q"), choice(request, "state", STATES) or None, number(request, "page", 1), PAGE_ROWS
    ),
    more_values=_page_values,
    menu="Requests",
    api_path="/api/search",
    summary="Search all requests",
)


class PastEventView(ApiModel):
    """One event in the past of a request, before its current attempt."""

    kind: Literal["failed", "relaunched", "reported", "resubmitted", "put-back", "new-suite"]
    attempt: str = ""
    number: int = 0
    cause: str = ""
    fault: str = ""
    log_url: str | None = None


class RequestHistoryResponse(ApiModel):
    """One request with its scores, the flags of its model, and its past events, oldest first."""

    request: RequestView
    past: list[PastEventView]
    scores: EvaluationScoresView | None = None
    scores_note: str = Field(default="", description="what a reader should know of the scores, in a sentence")
    replayed: int = Field(default=0, description="how many answers behind the scores an earlier attempt had computed")
    flags: list[FlagView] = Field(default_factory=list)


@dataclass(frozen=True)
class RequestQuery:
    """Which request is shown."""

    path: Annotated[str, Path(max_length=1_000, examples=[PATH])]


def history(board: BoardReader, query: RequestQuery) -> RequestHistoryResponse:
    """One request with its past attempts, its scores, and the flags of its model."""
    entry = board.context.index.find([query.path])[0]
    if entry is None or entry.is_private:
        raise NotPublic("request", "request at this path", query.path)
    request = serializers.request(board.context, entry)
    scores = board.scores_of(entry)
    stored = board.context.scores.find([entry.path]).get(entry.path) if scores is not None else None
    reopenings = newest_reopenings(entry.standing.causes) if entry.standing.access == "public" else ()
    return RequestHistoryResponse(
        request=request,
        past=[_past_event(board.context, request.model, reopening) for reopening in reopenings],
        scores=scores,
        scores_note=stored.note if stored is not None else "",
        replayed=stored.replayed if stored is not None else 0,
        flags=board.flags.of(request.model),
    )


def _past_event(context: BoardContext, model: str, event: Reopening) -> PastEventView:
    log = context.address(context.logs, f"{model}/{event.attempt}/log.txt") if event.left_log else None
    return PastEventView(
        kind=event.kind,
        attempt=event.attempt,
        number=event.number,
        cause=event.cause,
        fault=event.fault,
        log_url=(public_log(context, log) or None) if log is not None and not context.suite.restricted else None,
    )


ONE = Page(
    "/requests/{path:path}",
    "request",
    history,
    RequestQuery,
    more_values=lambda board, _query, _view: {"columns": board.columns, **board.button_values()},
    api_path="/api/history/{path:path}",
    summary="The history of a request",
)
