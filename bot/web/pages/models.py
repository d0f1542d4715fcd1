"""One model: its rank and scores, every evaluation with what changed, its relatives, requests and flags."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import Path
from pydantic import ConfigDict, Field

from bot.core.context import BoardContext
from bot.read_models import serializers
from bot.read_models.models import SUMMARY, ApiModel, RequestSummaryView
from bot.web.board import SCORES_EXAMPLE, BoardReader, EvaluationScoresView
from bot.web.charts.models import ComparisonView
from bot.web.charts.pictures import model_chart
from bot.web.flags import FlagView
from bot.web.leaderboard_rows import LeaderboardRows
from bot.web.leaderboard_view import LeaderboardRowView, row_views
from bot.web.lineage import LineageView
from bot.web.page import NotPublic, Page
from bot.web.pages.badges import citation, markdown
from bot.web.pages.compare import CompareQuery, DifferenceView, compare
from bot.web.selection import Selection
from hub.errors import BadRequest
from hub.records import Repo

MAX_EVALUATIONS = 50
"""Evaluations of a model that its page shows."""


class EvaluationView(ApiModel):
    """One evaluation of a model, compared with the one before it of the same precision, else with the one before."""

    row: LeaderboardRowView
    before: str = Field(description="id of the evaluation that it is compared with; empty: there is none")
    changed: list[str] = Field(description="what differs from it: `commit`, `precision`, `weight type`")
    differences: dict[str, DifferenceView] = Field(description="by benchmark, and of the `average`")


class ModelResponse(ApiModel):
    """One model: its rank and scores, its evaluations and requests, newest first, its relatives, its flags."""

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
                    "best": None,
                    "ranked": 4_576,
                    "evaluations": [],
                    "lineage": {"parents": [], "children": [], "children_count": 0},
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
    best: LeaderboardRowView | None = Field(
        default=None, description="its best evaluation; `rank` is that on the leaderboard as it is shown at first, or 0"
    )
    ranked: int = Field(default=0, description="number of evaluations on the leaderboard as it is shown at first")
    evaluations: list[EvaluationView] = Field(default_factory=list, description="by commit and precision")
    lineage: LineageView


@dataclass(frozen=True)
class ModelQuery:
    """Which model is shown; case does not matter."""

    name: Annotated[str, Path(max_length=200, examples=["ada/tiny"])]


def model(board: BoardReader, query: ModelQuery) -> ModelResponse:
    """All of a model's scores, requests, relatives and flags."""
    entries, flags = board.public_entries(query.name), board.flags.of(query.name)
    rows = board.table.leaderboard()
    numbers = rows.of_model(query.name)
    if not entries and not flags and not numbers:
        raise NotPublic("model", "model of this name", query.name)
    entries.sort(key=lambda entry: (-entry.time, entry.path))
    requests = serializers.summaries(board.context, entries)
    shown, best = rows.select(Selection()), rows.best_of(query.name)
    exact_name = rows.lines[best].model if best is not None else requests[0].model if requests else flags[0].model
    return ModelResponse(
        model=exact_name,
        model_url=_address_of(board.context, exact_name),
        requests=requests,
        results=[scores for scores in map(board.scores_of, entries) if scores is not None],
        compared=board.comparing.compared(entries),
        flags=flags,
        best=row_views(rows, shown, [best])[0] if best is not None else None,
        ranked=len(shown.order),
        evaluations=evaluations(board, rows, numbers),
        lineage=board.lineage.of(exact_name),
    )


def evaluations(board: BoardReader, rows: LeaderboardRows, numbers: list[int]) -> list[EvaluationView]:
    """The evaluations of one model, the newest first; of those with the same time, first the one of the request."""
    newest = sorted(numbers, key=lambda at: (-rows.lines[at].time, bool(rows.lines[at].id)))
    shown = rows.select(Selection())
    views = row_views(rows, shown, newest[: MAX_EVALUATIONS + 1])
    return [_evaluation(board, view, views[at + 1 :]) for at, view in enumerate(views[:MAX_EVALUATIONS])]


def _evaluation(board: BoardReader, row: LeaderboardRowView, earlier: list[LeaderboardRowView]) -> EvaluationView:
    options = (row.precision, row.weight_type)
    alike = (former for former in earlier if (former.precision, former.weight_type) == options)
    before = next(alike, earlier[0] if earlier else None)
    if before is None:
        return EvaluationView(row=row, before="", changed=[], differences={})
    pairs = {
        "commit": (row.revision, before.revision),
        "precision": (row.precision, before.precision),
        "weight type": (row.weight_type, before.weight_type),
    }
    compared = compare(board, CompareQuery(pin=[before.id, row.id])).compared
    return EvaluationView(
        row=row,
        before=before.id,
        changed=[name for name, (present, former) in pairs.items() if present != former],
        differences=compared[1].differences if len(compared) == 2 else {},
    )


def _address_of(context: BoardContext, model: str) -> str:
    try:
        return context.address(Repo("model", model))
    except BadRequest:
        return ""  # the request file holds something that is not a model's name


def _page_values(board: BoardReader, _query: ModelQuery, view: ModelResponse) -> Mapping[str, Any]:
    title, address = board.context.board.title, board.context.pages_url
    return {
        "columns": board.columns,
        "chart": model_chart(view.compared),
        "rows": {evaluation.row.id: evaluation.row for evaluation in view.evaluations},
        "badge": markdown(view.model, title, address) if view.best is not None else "",
        "citation": citation(view.best, view.ranked, title, address, board.context.now()) if view.best else "",
        "address": address,
        **board.button_values(),
    }


MODEL = Page(
    "/models/{name:path}",
    "model",
    model,
    ModelQuery,
    more_values=_page_values,
    api_path="/api/models/{name:path}",
    summary="One model",
)
