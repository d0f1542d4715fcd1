"""What the API answers about what people write: decisions, and threads that wait for a word of a maintainer."""

from __future__ import annotations

from typing import Any

from pydantic import ConfigDict, Field

from bot.read_models.models import PATH, ApiModel

DECIDED: dict[str, Any] = {
    "at": "2026-11-24T12:00:00Z",
    "person": "mia",
    "person_id": "5f6b6d1a3a1f0a3f6f8e5b8b",
    "roles": ["anyone", "maintainer"],
    "command": "/hold ada/tiny the licence is not clear",
    "verb": "hold",
    "model": "ada/tiny",
    "requests": [PATH],
    "allowed": True,
    "answer": "It gets no turn until the hold is lifted.",
    "thread_url": "https://huggingface.co/datasets/board/requests/discussions/7",
}


class CommandDecisionView(ApiModel):
    """One command that decided something, or tried to: who gave it, whether they might, and what was answered."""

    model_config = ConfigDict(frozen=True, json_schema_extra={"examples": [DECIDED]})

    at: str
    person: str = Field(description="name of the account at that time")
    person_id: str = Field(description="its id, which no rename changes")
    roles: list[str]
    command: str = Field(description="the line as it was written")
    verb: str
    model: str = ""
    requests: list[str] = Field(
        default_factory=list, description="paths of requests that it was about: of many the first"
    )
    allowed: bool = Field(description="whether they might, and it made sense as things were")
    answer: str = Field(description="Markdown; the start of it where it is long")
    thread_url: str


class DecisionListResponse(ApiModel):
    """A page of decisions, newest first."""

    model_config = ConfigDict(frozen=True, json_schema_extra={"examples": [{"decisions": [DECIDED], "next": None}]})

    decisions: list[CommandDecisionView]
    next: str | None = Field(description="cursor of the next page; null where there is none")


class WaitingThreadView(ApiModel):
    """One thread that waits for a word of a maintainer."""

    title: str
    url: str
    topic: str = Field(description="what it seems to be about")
    author: str
    since: str


class WaitingThreadsResponse(ApiModel):
    """Those that wait, the longest first."""

    threads: list[WaitingThreadView]
