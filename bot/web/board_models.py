"""What the API answers about the board as a whole: the table of results, one model, flags, workers."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import ConfigDict, Field

from bot.read_models.models import PATH, SUMMARY, Request, Shown, Summary
from bot.web.charts.models import Compared

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


class Misunderstood(Shown):
    """One term of a search that means nothing, and the columns that are like the one that it names."""

    said: str
    why: Literal["column", "number", "yes-no", "empty", "too-long"]
    near: list[str] = Field(default_factory=list)


class Searched(Shown):
    """What a search came to: how many fit, and names that are like those that were asked for where none do."""

    query: str
    count: int
    near: list[str] = Field(default_factory=list)
    misread: list[Misunderstood] = Field(default_factory=list)


class Scored(Shown):
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


class Results(Shown):
    """A page of the table of results."""

    searched: Searched
    columns: list[str] = Field(description="names of the benchmarks, in order")
    results: list[Scored]
    flagged: int = Field(description="how many more there are that are flagged, where those are left out")
    page: int
    pages: int


class Requests(Shown):
    """A page of all requests, as a search finds them, newest first."""

    searched: Searched
    requests: list[Summary]
    page: int
    pages: int


class Ruling(Shown):
    """One decision about a flag."""

    what: Literal["flagged", "lifted"]
    at: str
    by: str
    reason: str = ""


class Flag(Shown):
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
    decisions: list[Ruling] = Field(default_factory=list)


class Flags(Shown):
    """All flags, those that stand first, by name."""

    flags: list[Flag]


class Model(Shown):
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
    requests: list[Summary]
    results: list[Scored]
    compared: Compared | None = Field(default=None, description="null where there is nothing to compare with")
    flags: list[Flag]


class Worker(Shown):
    """One worker, and what it does now; `request` is null where it is idle, or the model is private."""

    name: str
    tiers: list[str]
    devices: str
    versions: dict[str, str]
    since: str
    busy: bool
    request: Request | None = None


class Workers(Shown):
    """The workers that gave a sign of life within the last half minute."""

    workers: list[Worker]


class Event(Shown):
    """One thing that happened to a request before its current attempt."""

    kind: Literal["failed", "relaunched", "reported", "resubmitted", "put-back", "new-suite"]
    attempt: str = ""
    number: int = 0
    cause: str = ""
    fault: str = ""
    log_url: str | None = None


class History(Shown):
    """One request with its scores, the flags of its model, and what it went through before, oldest first."""

    request: Request
    past: list[Event]
    scores: Scored | None = None
    flags: list[Flag] = Field(default_factory=list)
