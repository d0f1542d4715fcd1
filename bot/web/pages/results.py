"""Two pages: the table of results, searched, filtered and sorted; and one model with its requests, scores and flags."""

from dataclasses import dataclass
from typing import Annotated

from fastapi import Path, Query
from pydantic import ConfigDict, Field

from bot.core.context import BoardContext
from bot.read_models import serializers
from bot.read_models.models import SUMMARY, ApiModel, RequestSummaryView
from bot.web.board import SCORES_EXAMPLE, BoardReader, EvaluationScoresView, SearchView, page_of, scores_view, searched
from bot.web.charts.models import ComparisonView
from bot.web.charts.pictures import model_chart
from bot.web.flags import FlagView
from bot.web.page import NotPublic, Page, PageNumber, PageSize, SearchText
from bot.web.rows import SORTS
from hub.errors import BadRequest
from hub.records import Repo
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


class ModelResponse(ApiModel):
    """One model: its requests, newest first, its scores, its flags."""

    model_config = ConfigDict(
        frozen=True,
        json_schema_extra={
            "examples": [
                {
                    "model": "ada/tiny",
                    "model_url": "https://huggingface.co/ada/tiny",
                    "requests": [SUMMARY],
                    "results": [SCORES_EXAMPLE],
                    "flags": [],
                }
            ]
        },
    )

    model: str
    model_url: str
    requests: list[RequestSummaryView]
    results: list[EvaluationScoresView]
    compared: ComparisonView | None = Field(default=None, description="null if there is nothing to compare with")
    flags: list[FlagView]


@dataclass(frozen=True)
class ModelQuery:
    """Which model is shown; case does not matter."""

    name: Annotated[str, Path(max_length=200, examples=["ada/tiny"])]


def model(board: BoardReader, query: ModelQuery) -> ModelResponse:
    """All of a model's requests, scores and flags."""
    entries, flags = board.public_entries(query.name), board.flags.of(query.name)
    if not entries and not flags:
        raise NotPublic("model", "model of this name", query.name)
    entries.sort(key=lambda entry: (-entry.time, entry.path))
    requests = serializers.summaries(board.context, entries)
    exact_name = requests[0].model if requests else flags[0].model
    return ModelResponse(
        model=exact_name,
        model_url=_address_of(board.context, exact_name),
        requests=requests,
        results=[scores for scores in map(board.scores_of, entries) if scores is not None],
        compared=board.comparing.compared(entries),
        flags=flags,
    )


def _address_of(context: BoardContext, model: str) -> str:
    try:
        return context.address(Repo("model", model))
    except BadRequest:
        return ""  # the request file holds something that is not a model's name


MODEL = Page(
    "/models/{name:path}",
    "model",
    model,
    ModelQuery,
    more_values=lambda board, _query, view: {"columns": board.columns, "chart": model_chart(view.compared)},
    api_path="/api/models/{name:path}",
    summary="One model",
)
