"""What the API answers about the board as a whole: the table of results, one model, flags, workers."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import ConfigDict, Field

from bot.read_models.models import PATH, SUMMARY, ApiModel, RequestSummaryView, RequestView
from bot.web.charts.models import ComparisonView

SCORED: dict[str, Any] = {
    "path": PATH,
    "model": "ada/tiny",
    "category": "chat",
    "precision": "float16",
    "revision": "5f6b6d1a3a1f0a3f6f8e5b8b5c9d9a4f1c2e3d4b",
    "licence": "apache-2.0",
    "parameters": 0.135,
    "average": 31.4,
    "benchmarks": {"Boolean Expressions": 52.5},
    "flagged": False,
    "submitted": "2026-11-24T12:00:00Z",
}


class MisreadTermView(ApiModel):
    """One term of a search that means nothing, and the columns that are like the one that it names."""

    said: str
    why: Literal["column", "number", "yes-no", "empty", "too-long"]
    near: list[str] = Field(default_factory=list)


class SearchView(ApiModel):
    """What a search came to: how many fit, and names that are like those that were asked for where none do."""

    query: str
    count: int
    near: list[str] = Field(default_factory=list)
    misread: list[MisreadTermView] = Field(default_factory=list)


class EvaluationScoresView(ApiModel):
    """One evaluation. Scores are 0-100; `parameters` in billions."""

    model_config = ConfigDict(frozen=True, json_schema_extra={"examples": [SCORED]})

    path: str
    model: str
    category: str
    precision: str
    revision: str = Field(description="the commit that was evaluated: a newer one may wait, or have failed")
    licence: str
    parameters: float | None
    average: float
    benchmarks: dict[str, float]
    flagged: bool
    submitted: str | None


class ResultsResponse(ApiModel):
    """A page of the table of results."""

    searched: SearchView
    columns: list[str] = Field(description="names of the benchmarks, in order")
    results: list[EvaluationScoresView]
    flagged: int = Field(description="how many more there are that are flagged, where those are left out")
    page: int
    pages: int


class RequestTableResponse(ApiModel):
    """A page of all requests, as a search finds them, newest first."""

    searched: SearchView
    requests: list[RequestSummaryView]
    page: int
    pages: int


class FlagDecisionView(ApiModel):
    """One decision about a flag."""

    what: Literal["flagged", "lifted"]
    at: str
    by: str
    reason: str = ""


class FlagView(ApiModel):
    """What is, or was, held against a model. `thread` is where its author can plead."""

    model: str
    also: list[str] = Field(default_factory=list, description="other names of it")
    stands: bool
    category: str
    words: str = Field(description="what the category says")
    reason: str = ""
    cure: str = Field(default="", description="what its author can do")
    revision: str = Field(default="", description="of the commit that is meant; empty: all")
    precision: str = ""
    thread: str = ""
    decisions: list[FlagDecisionView] = Field(default_factory=list)


class FlagsResponse(ApiModel):
    """All flags, those that stand first, by name."""

    flags: list[FlagView]


class ModelResponse(ApiModel):
    """All that is known of one model: its requests, newest first, its scores, its flags."""

    model_config = ConfigDict(
        frozen=True,
        json_schema_extra={
            "examples": [
                {
                    "model": "ada/tiny",
                    "model_url": "https://huggingface.co/ada/tiny",
                    "requests": [SUMMARY],
                    "results": [SCORED],
                    "flags": [],
                }
            ]
        },
    )

    model: str
    model_url: str
    requests: list[RequestSummaryView]
    results: list[EvaluationScoresView]
    compared: ComparisonView | None = Field(default=None, description="null where there is nothing to compare with")
    flags: list[FlagView]


class WorkerView(ApiModel):
    """One worker, and what it does now; `request` is null where it is idle, or the model is private."""

    name: str
    tiers: list[str]
    devices: str
    versions: dict[str, str]
    since: str
    busy: bool
    request: RequestView | None = None


class WorkersResponse(ApiModel):
    """The workers that gave a sign of life within the last half minute."""

    workers: list[WorkerView]


class PastEventView(ApiModel):
    """One thing that happened to a request before its current attempt."""

    kind: Literal["failed", "relaunched", "reported", "resubmitted", "put-back", "new-suite"]
    attempt: str = ""
    number: int = 0
    cause: str = ""
    fault: str = ""
    log_url: str | None = None


class RequestHistoryResponse(ApiModel):
    """One request with its scores, the flags of its model, and what it went through before, oldest first."""

    request: RequestView
    past: list[PastEventView]
    scores: EvaluationScoresView | None = None
    flags: list[FlagView] = Field(default_factory=list)
