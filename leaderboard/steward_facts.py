"""The object `steward` in a request file: Steward's own facts about the request, which must survive a loss of Redis."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from leaderboard.attempts import MAX_NUMBER, Failure
from leaderboard.holds import Hold, Priority
from leaderboard.jsontext import JsonObject
from leaderboard.reasons import Problem as Problem

Access = Literal["public", "gated", "private"]
"""The visibility of a model on the Hub."""
OURS = "steward"
"""The object of Steward's own facts in request files and results files."""


def ours_in(fields: Mapping[str, Any]) -> JsonObject:
    """Return the object `steward` in the fields of a file; empty if there is none."""
    facts = fields.get(OURS)
    return facts if isinstance(facts, dict) else {}


class PreviousResult(BaseModel):
    """A result that stays valid during a newer evaluation and is restored if that fails.

    `revision` is its commit; `results` is its path in the results repo and `log` the URL of its log, None if unknown.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    revision: str = Field(max_length=200)
    results: str | None = Field(default=None, max_length=1_000)
    log: str | None = Field(default=None, max_length=1_000)


class ScoresConsent(BaseModel):
    """The consent of a model's owner, given before there are scores, to publish them on the model's own page.

    `thread` is the URL of the discussion of the command; "" for the form.
    """

    model_config = ConfigDict(frozen=True, extra="allow")

    by: str = Field(max_length=100)
    by_id: str = Field(max_length=100)
    at: str = Field(max_length=64)
    thread: str = Field(default="", max_length=1_000)


class StewardFacts(BaseModel):
    """The object `steward` in a request file: the facts that must survive the loss of Redis."""

    model_config = ConfigDict(extra="allow")

    attempt: int = Field(default=0, ge=0, le=MAX_NUMBER, description="the current attempt's number; 0 before the first")
    first: int = Field(default=1, ge=1, le=MAX_NUMBER, description="first attempt since a person last asked for one")
    spent: int = Field(default=0, ge=0, le=MAX_NUMBER, description="attempts up to this number were claimed, or ended")
    revision: str | None = Field(default=None, pattern=r"^[0-9a-f]{40}$", description="commit that it evaluates")
    thread: int | None = Field(default=None, ge=1, description="discussion in the requests repo")
    submitter: str | None = Field(default=None, max_length=100, description="name of the account that submitted it")
    submitter_id: str | None = Field(default=None, max_length=100, description="its id on the Hub, where it is known")
    failure: Failure | None = None
    log: str | None = Field(default=None, max_length=1_000, description="URL of the log of the last attempt")
    results: str | None = Field(default=None, max_length=1_000, description="path in the results repo")
    details: str | None = Field(
        default=None,
        max_length=200,
        description="details repo of the results, if not that of the model's name",
    )
    rescored_from: str | None = Field(
        default=None,
        max_length=1_000,
        description="results whose answers were scored again for `results`; tables of answers have the time of one "
        "of the two",
    )
    season: str | None = Field(default=None, max_length=60, description="season in which its predictions count")
    causes: list[str] = Field(default_factory=list, max_length=1_000, description="the cause of each reopening")
    access: Access | None = Field(default=None, description="visibility of the model at admission; None: public")
    weights: str | None = Field(default=None, pattern=r"^[0-9a-f]{64}$", description="digest of all weight files")
    priority: Priority | None = Field(default=None, description="its priority, if a maintainer set one")
    hold: Hold | None = Field(default=None, description="the reason that holds it back")
    cancelled: Hold | None = Field(default=None, description="why, by whom and when it was withdrawn")
    gpu_seconds: float = Field(default=0.0, ge=0, description="GPU-seconds of all its attempts")
    kept: PreviousResult | None = Field(
        default=None, description="the earlier result during a newer evaluation, or after that was cancelled"
    )
    publish_scores: ScoresConsent | None = Field(
        default=None, description="that an owner wants the scores on the model's own page; removed once they are there"
    )
    tried: str | None = Field(
        default=None, max_length=200, description="commit of a newer evaluation that failed; the earlier result stayed"
    )
