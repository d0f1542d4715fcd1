"""JSON shapes of the API's answers about decisions, and threads that wait for a maintainer's answer."""

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
    """One command that decided something, or tried to: its author, whether it was allowed, and the answer."""

    model_config = ConfigDict(frozen=True, json_schema_extra={"examples": [DECIDED]})

    at: str
    person: str = Field(description="name of the account at that time")
    person_id: str = Field(description="id of the account, which stays when it is renamed")
    roles: list[str]
    command: str = Field(description="the line as written")
    verb: str
    model: str = ""
    requests: list[str] = Field(
        default_factory=list, description="paths of the requests that it was about; the first ones of many"
    )
    allowed: bool = Field(description="whether the author had permission and the command was applicable")
    answer: str = Field(description="Markdown; a long answer is cut")
    thread_url: str


class DecisionListResponse(ApiModel):
    """A page of decisions, newest first."""

    model_config = ConfigDict(frozen=True, json_schema_extra={"examples": [{"decisions": [DECIDED], "next": None}]})

    decisions: list[CommandDecisionView]
    next: str | None = Field(description="cursor of the next page; null where there is none")


class WaitingThreadView(ApiModel):
    """One thread that waits for a maintainer's answer."""

    title: str
    url: str
    topic: str = Field(description="the topic that triage gave it")
    author: str
    since: str


class WaitingThreadsResponse(ApiModel):
    """The waiting threads, the oldest first."""

    threads: list[WaitingThreadView]
