"""The result of a check: whether a model would be accepted, by each rule of admission, with reasons."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import ConfigDict, Field

from bot.read_models.models import FAILURE, ApiModel
from leaderboard.reasons import Problem
from leaderboard.requests import Access

CHECKED: dict[str, Any] = {
    "state": "done",
    "accepted": False,
    "model": "ada/tiny",
    "revision": "5f6b6d1a3a1f0a3f6f8e5b8b5c9d9a4f1c2e3d4b",
    "rules": [
        {"rule": "model-readable", "title": "The model can be read", "outcome": "passed", "reasons": []},
        {
            "rule": "safetensors",
            "title": "Weights as safetensors",
            "outcome": "failed",
            "reasons": [
                {
                    "code": "weights-not-safetensors",
                    "message": FAILURE["message"],
                    "advice": FAILURE["advice"],
                    "link": "",
                }
            ],
        },
    ],
    "checked": "2026-11-24T12:00:00Z",
}


class RuleResultView(ApiModel):
    """The outcome of one rule of admission; `not-looked-at` where another rule says why this one has nothing to
    check."""

    rule: str
    title: str
    outcome: Literal["passed", "failed", "not-looked-at"]
    reasons: list[Problem] = Field(default_factory=list)


class CheckResponse(ApiModel):
    """Whether admission would accept a model, rule by rule, without a submission."""

    model_config = ConfigDict(frozen=True, json_schema_extra={"examples": [CHECKED]})

    state: Literal["done", "under-way"]
    accepted: bool | None = Field(default=None, description="null while the check is under way")
    model: str
    revision: str | None = Field(default=None, description="the commit that was checked")
    rules: list[RuleResultView] = Field(default_factory=list)
    checked: str | None = None
    access: Access = Field(default="public", exclude=True, description="of the model; `steward check` shows it")
