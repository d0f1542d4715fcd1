"""Response models of the API about the whole board: the table of results, one model, flags, workers."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import ConfigDict, Field

from bot.read_models.models import PATH, SUMMARY, ApiModel, RequestSummaryView, RequestView
from bot.web.charts.models import ComparisonView

SCORES_EXAMPLE: dict[str, Any] = {
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
    """One term of a search that could not be understood, and columns with similar names."""

    said: str
    why: Literal["column", "number", "yes-no", "empty", "too-long"]
    near: list[str] = Field(default_factory=list)


class SearchView(ApiModel):
    """The outcome of a search: the number of matches, and similar names if there are none."""

    query: str
    count: int
    near: list[str] = Field(default_factory=list)
    misread: list[MisreadTermView] = Field(default_factory=list)


class EvaluationScoresView(ApiModel):
    """One evaluation. Scores are 0-100; `parameters` in billions."""

    model_config = ConfigDict(frozen=True, json_schema_extra={"examples": [SCORES_EXAMPLE]})

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
    flagged: int = Field(description="number of further matches that are left out because they are flagged")
    page: int
    pages: int


class RequestTableResponse(ApiModel):
    """A page of the requests that a search found, newest first."""

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
    """A flag of a model, active or lifted. Its author can answer in `thread`."""

    model: str
    also: list[str] = Field(default_factory=list, description="other names of the model")
    stands: bool = Field(description="whether the flag is active; false: it was lifted")
    category: str
    words: str = Field(description="what the category means")
    reason: str = ""
    cure: str = Field(default="", description="what the model's author can do")
    revision: str = Field(default="", description="the flagged commit; empty: all")
    precision: str = ""
    thread: str = ""
    decisions: list[FlagDecisionView] = Field(default_factory=list)


class FlagsResponse(ApiModel):
    """All flags, active ones first, sorted by name."""

    flags: list[FlagView]


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


class WorkerView(ApiModel):
    """One worker and the request that it evaluates; `request` is null if it is idle or the model is private."""

    name: str
    tiers: list[str]
    devices: str
    versions: dict[str, str]
    since: str
    busy: bool
    request: RequestView | None = None


class WorkersResponse(ApiModel):
    """The workers whose last heartbeat is at most half a minute old."""

    workers: list[WorkerView]


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
    flags: list[FlagView] = Field(default_factory=list)
