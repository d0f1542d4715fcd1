"""Predictions: files of answers to a suite's public questions, submitted in place of a model.

A board holds the private answers. This module has the suite's rules for predictions and the paths of their files.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from datetime import UTC, datetime
from itertools import pairwise
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints, model_validator

from leaderboard.prediction_metrics import METRICS, PredictionType

PREDICTIONS = "predictions"
"""The text in place of a precision, in the name of a request file for predictions and in its row of the table."""
PREDICTIONS_SYMBOL = "📄"
"""The symbol of a row of predictions, in place of the symbol of a model's category."""
FORMATS = ("jsonl", "csv", "parquet")
MAX_BYTES = 20_000_000
"""The most bytes of a file of predictions."""
MAX_ROWS = 200_000
MAX_TEXT, MAX_ID = 10_000, 200
"""The most characters of a prediction, and of a question's id."""
PUBLIC, PRIVATE = "public", "private"
"""The two values of the field that splits the questions."""

FieldName = Annotated[str, StringConstraints(min_length=1, max_length=60)]
DataRepo = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_.-]{1,96}/[A-Za-z0-9_.-]{1,96}$")]


def _in_utc(time: datetime) -> datetime:
    return time.replace(tzinfo=UTC) if time.tzinfo is None else time.astimezone(UTC)


UtcTime = Annotated[datetime, AfterValidator(_in_utc)]


class _Rules(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Season(_Rules):
    """A period of a board: at its end the private part of the questions decides. Times without a zone are in UTC."""

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9-]{0,40}$")
    begins: UtcTime
    ends: UtcTime = Field(description="the first moment after it")

    @model_validator(mode="after")
    def _ends_after_it_begins(self) -> Season:
        if self.ends <= self.begins:
            raise ValueError(f"the season {self.name} ends before it begins")
        return self


class PrivateAnswers(_Rules):
    """The file of the right answers, in a private dataset repo that only the bot reads."""

    repo: DataRepo
    revision: str = Field(pattern=r"^[0-9a-f]{40}$")
    file: str = Field(pattern=r"^[A-Za-z0-9_][A-Za-z0-9_./-]{0,200}\.(jsonl|csv|parquet)$")


class PredictionRules(_Rules):
    """How a suite takes predictions. `answers` has a row for each question: its id, its answer and its part."""

    answers: PrivateAnswers
    type: PredictionType = Field(description="what a prediction is")
    choices: tuple[str, ...] = Field(default=(), max_length=1_000, description="the values of a `choice`")
    tolerance: float = Field(
        default=0.0, ge=0, allow_inf_nan=False, description="distance that the metric `close` allows"
    )
    id: FieldName = Field(default="id", description="field of a question's id, in both files")
    prediction: FieldName = Field(default="prediction", description="field of the prediction, in a submitter's file")
    answer: FieldName = Field(default="answer", description="field of the answer, in the board's file")
    split: FieldName = Field(
        default="split", description="field in the board's file: `public`, or `private` until the season ends"
    )
    task: str = Field(
        default="", max_length=60, description="field in the board's file with the question's task; needed for several"
    )
    per_week: int = Field(default=5, ge=1, le=1_000, description="files that one account may have scored in 7 days")
    rounding: float = Field(
        default=0.001, gt=0, le=0.1, description="step of published scores (0-1): a finer one helps to guess answers"
    )
    seasons: tuple[Season, ...] = Field(
        default=(), max_length=100, description="periods in which predictions are taken; without one, always"
    )

    @model_validator(mode="after")
    def _is_consistent(self) -> PredictionRules:
        if (self.type == "choice") != bool(self.choices):
            raise ValueError("type `choice` needs `choices`, and no other type allows them")
        if len(set(self.choices)) < len(self.choices):
            raise ValueError("a choice is listed twice")
        if len({season.name for season in self.seasons}) < len(self.seasons):
            raise ValueError("two seasons have the same name")
        ordered = sorted(self.seasons, key=lambda season: season.begins)
        for earlier, later in pairwise(ordered):
            if later.begins < earlier.ends:
                raise ValueError(f"the seasons {earlier.name} and {later.name} overlap")
        return self

    def wrong_metrics(self, metrics: Iterable[str]) -> list[str]:
        """Return those of `metrics` (`name,filter`) that cannot be computed for this type of prediction."""
        return [name for name in metrics if self.type not in _types(name)]


def _types(metric: str) -> Collection[str]:
    known = METRICS.get(metric.partition(",")[0])
    return known.types if known is not None else ()


# --- paths

_FILE = re.compile(r"^(?P<org>[^/]+)/(?P<name>[^/]+)_predictions\.(?P<format>jsonl|csv|parquet)$")


def is_predictions_path(path: str) -> bool:
    """Whether `path` is that of a file of predictions in the requests repo."""
    return _FILE.fullmatch(path) is not None


def predictions_place(model: str, extension: str = "jsonl") -> str:
    """Return the path of the file of the predictions that are named `model` (`account/name`)."""
    return f"{model}_predictions.{extension}"


def format_of(path: str) -> str:
    """Return the format of a file by its name."""
    return path.rpartition(".")[2]
