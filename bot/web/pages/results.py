"""The table of results in its earlier form: searched, filtered and sorted, as JSON."""

from dataclasses import dataclass
from typing import Annotated

from fastapi import Query
from pydantic import Field

from bot.read_models.models import ApiModel
from bot.web.board import BoardReader, EvaluationScoresView, SearchView, page_of, scores_view, searched
from bot.web.page import Page, PageNumber, PageSize, SearchText
from bot.web.rows import SORTS
from leaderboard.categories import ModelCategory
from leaderboard.options import precision_named
from leaderboard.search import parse


class ResultsResponse(ApiModel):
    """A page of the table of results."""

    searched: SearchView
    columns: list[str] = Field(description="names of the benchmarks, in order")
    results: list[EvaluationScoresView]
    flagged: int = Field(description="number of further matches that are left out because they are flagged")
    page: int
    pages: int
    rebuilding: bool = Field(
        default=False, description="whether the scores of all finished requests are still being read from the Hub"
    )


@dataclass(frozen=True)
class ResultsQuery:
    """A search in all evaluations, with filters, order and page. Another `sort` than those known means the average."""

    q: SearchText = ""
    sort: Annotated[str, Query(max_length=60, description="average, model, parameters, time or a benchmark")] = ""
    rising: bool = False
    category: Annotated[ModelCategory | None, Query(description="only models of this category")] = None
    precision: Annotated[str, Query(max_length=32)] = ""
    flagged: Annotated[bool, Query(description="whether to include flagged models")] = False
    page: PageNumber = 1
    limit: PageSize = 100


def results(board: BoardReader, query: ResultsQuery) -> ResultsResponse:
    """Every evaluation that has scores, the best first by default."""
    rows, terms = board.table.rows(), parse(query.q)
    category, precision = query.category or "", precision_named(query.precision)
    sort = query.sort if query.sort in (*SORTS, *board.columns) else "average"
    includes_flagged = query.flagged or any(term.column.key == "flagged" for term in terms.terms)
    matching = rows.once(
        ("evaluated", query.q, category, precision),
        lambda: rows.find(terms, rows.evaluated_as(category, precision)),
    )
    shown = matching if includes_flagged or not rows.flagged else [at for at in matching if at not in rows.flagged]
    cache_key = ("results", query.q, category, precision, includes_flagged, sort, query.rising)
    order = rows.once(cache_key, lambda: rows.in_order(shown, sort, rising=query.rising))
    page, pages, part = page_of(order, query.page, query.limit)
    return ResultsResponse(
        searched=searched(rows, query.q, terms, len(shown)),
        columns=board.columns,
        results=[scores_view(rows.lines[at], flagged=at in rows.flagged) for at in part],
        flagged=len(matching) - len(shown),
        page=page,
        pages=pages,
        rebuilding=board.is_rebuilding(),
    )


TABLE = Page(
    "/results",
    "",
    results,
    ResultsQuery,
    api_path="/api/results",
    summary="The table of results",
)
