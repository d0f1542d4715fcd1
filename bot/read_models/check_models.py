"""What the API answers to whoever asks if a model would be accepted: every rule of admission, and what is wrong."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import ConfigDict, Field

from bot.read_models.models import FAILURE, ApiModel

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


class ReasonView(ApiModel):
    """One thing that is wrong, what to do about it, and where there is more to read, if anywhere."""

    code: str
    message: str
    advice: str = ""
    link: str = ""


class RuleResultView(ApiModel):
    """What one rule of admission says; `not-looked-at` where another one has said why there was nothing to look at."""

    rule: str
    title: str
    outcome: Literal["passed", "failed", "not-looked-at"]
    reasons: list[ReasonView] = Field(default_factory=list)


class CheckResponse(ApiModel):
    """Whether a model would be accepted, by every rule, without submitting it."""

    model_config = ConfigDict(frozen=True, json_schema_extra={"examples": [CHECKED]})

    state: Literal["done", "under-way"]
    accepted: bool | None = Field(default=None, description="null while the check is under way")
    model: str
    revision: str | None = Field(default=None, description="the commit that was looked at")
    rules: list[RuleResultView] = Field(default_factory=list)
    checked: str | None = None
