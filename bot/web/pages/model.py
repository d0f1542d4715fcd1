"""One model: all of its requests, scores and flags, and a chart that compares its scores with others."""

from dataclasses import dataclass
from typing import Annotated

from fastapi import Path
from pydantic import ConfigDict, Field

from bot.core.context import BoardContext
from bot.read_models import serializers
from bot.read_models.models import SUMMARY, ApiModel, RequestSummaryView
from bot.web.board import SCORES_EXAMPLE, BoardReader, EvaluationScoresView
from bot.web.charts.models import ComparisonView
from bot.web.charts.serializers import model_chart
from bot.web.flags import FlagView
from bot.web.page import NotPublic, Page
from hub.errors import BadRequest
from hub.records import Repo


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


PAGE = Page(
    "/models/{name:path}",
    "model",
    model,
    ModelQuery,
    more_values=lambda board, _query, view: {"columns": board.columns, "chart": model_chart(view.compared)},
    api_path="/api/models/{name:path}",
    summary="One model",
)
