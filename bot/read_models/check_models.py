"""The result of a check: whether a model would be accepted, by each rule of admission, with reasons."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import ConfigDict, Field

from bot.read_models.models import FAILURE, ApiModel, QueueBlockerView, QueuePositionView
from leaderboard.guesses import Guess
from leaderboard.reasons import Problem
from leaderboard.steward_facts import Access

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
    "guesses": [{"field": "precision", "value": "bfloat16", "source": "its config.json"}],
    "place": None,
    "held": None,
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
    guesses: list[Guess] = Field(
        default_factory=list, description="the options that the check guessed, where it was to"
    )
    place: QueuePositionView | None = Field(
        default=None, description="where it would stand in the queue now, if it would be accepted and nothing held it"
    )
    held: QueueBlockerView | None = Field(default=None, description="what would hold it back, if it would be accepted")
    access: Access = Field(default="public", exclude=True, description="of the model; `steward check` shows it")
