"""How to submit predictions: the two files, what they hold, and what limits there are."""

import json

from pydantic import Field

from bot.read_models.models import ApiModel
from bot.web.board import BoardReader
from bot.web.page import NoQuery, Page
from leaderboard.prediction_metrics import PredictionType
from leaderboard.predictions import FORMATS, MAX_BYTES, MAX_ROWS, PREDICTIONS, PredictionRules, predictions_place
from leaderboard.request_paths import RequestPath
from leaderboard.requests import Status

ACCOUNT, NAME = "{account}", "{name}"


class PredictionFileView(ApiModel):
    """One file of a submission; `content` is an example of its start."""

    path: str
    content: str


class PredictionRulesView(ApiModel):
    """The rules for predictions on this board, and the files of a submission."""

    type: PredictionType = Field(description="what a prediction is")
    choices: list[str]
    formats: list[str]
    max_bytes: int
    max_rows: int
    per_week: int = Field(description="files that one account may have scored in seven days")
    rounded_to: float = Field(description="step of public scores (0-1)")
    seasons: bool = Field(description="whether the private part of the questions decides at the end of a season")
    questions: list[str] = Field(description="datasets of the questions")
    files: list[PredictionFileView]


class PredictionsResponse(ApiModel):
    """The rules for predictions; null on a board that takes models alone."""

    rules: PredictionRulesView | None


def prediction_rules(board: BoardReader, _query: NoQuery) -> PredictionsResponse:
    """What predictions are on this board, the two files of a submission, and limits."""
    context = board.context
    rules = context.suite.predictions
    if rules is None:
        return PredictionsResponse(rules=None)
    view = PredictionRulesView(
        type=rules.type,
        choices=list(rules.choices),
        formats=list(FORMATS),
        max_bytes=MAX_BYTES,
        max_rows=MAX_ROWS,
        per_week=rules.per_week,
        rounded_to=rules.rounding,
        seasons=bool(rules.seasons),
        questions=[dataset.repo for dataset in context.suite.datasets],
        files=_files(rules),
    )
    return PredictionsResponse(rules=view)


def _files(rules: PredictionRules) -> list[PredictionFileView]:
    model = f"{ACCOUNT}/{NAME}"
    request = RequestPath(ACCOUNT, NAME, private=False, precision=PREDICTIONS, weight_type="Original")
    fields = {
        "model": model,
        "revision": "main",
        "precision": PREDICTIONS,
        "weight_type": "Original",
        PREDICTIONS: predictions_place(model),
        "status": Status.PENDING.value,
        "submitted_time": "2026-11-24T12:00:00Z",
    }
    value: object = {"choice": (rules.choices or ("",))[0], "text": "the answer", "number": 0.5}[rules.type]
    row = {rules.id: "q1", rules.prediction: value}
    return [
        PredictionFileView(path=predictions_place(model), content=json.dumps(row, ensure_ascii=False)),
        PredictionFileView(path=str(request), content=json.dumps(fields, indent=2)),
    ]


PAGE = Page(
    "/predictions",
    PREDICTIONS,
    prediction_rules,
    NoQuery,
    more_values=lambda board, _query, _view: {
        "requests_url": board.context.address(board.context.requests),
        "hub": board.context.hub.endpoint,
    },
    api_path="/api/predictions",
    summary="How to submit predictions",
)
