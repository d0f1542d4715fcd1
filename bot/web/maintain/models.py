"""Response models for maintainers, shared by their pages and the API."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from bot.intake.inbox_log import KeyState
from bot.read_models.models import ApiModel
from redis_state.board.messages import Code


class MarkedKeyView(ApiModel):
    """A key that a delivery marked, and the state of its sync."""

    key: str
    standing: KeyState


class DeliveryView(ApiModel):
    """One delivery of the Hub."""

    id: str = Field(description="the id that the Hub sent, or a digest of the body")
    entry: str = Field(description="its place in the inbox; /api/maintain/inbox/{entry} shows its body")
    received: str
    verdict: str = Field(description="how the bot classified it, in a word")
    meaning: str = Field(description="the verdict in a sentence")
    marks: list[MarkedKeyView] = Field(description="the keys that it marked; only the first ones if there are many")
    more_marks: int = 0
    bytes: int


class DeliveryListResponse(ApiModel):
    """A page of deliveries, newest first."""

    deliveries: list[DeliveryView]
    counts: dict[str, int] = Field(description="verdict → number of all deliveries")
    kept: int
    kept_bytes: int
    next: str | None = Field(description="`before` of the next page; null if there is none")


class DeliveryResponse(DeliveryView):
    """One delivery with its body: untrusted text in ASCII, with everything else escaped."""

    body: str
    cut: int = Field(default=0, description="number of further characters that are not shown")


class ParkedSyncView(ApiModel):
    """A sync that failed too often and is not retried automatically any more."""

    key: str
    since: str
    tries: int
    error: str = Field(description="the last error")
    page_url: str = Field(default="", description="the page of the request that the sync is about")


class ParkedListResponse(ApiModel):
    """All parked syncs, the longest parked first."""

    parked: list[ParkedSyncView]


class WakeBody(BaseModel):
    """The sync to retry."""

    model_config = ConfigDict(frozen=True, strict=True, extra="ignore")

    key: str = Field(min_length=1, max_length=2_000, description="a key from /api/maintain/parked")


class WakeResponse(ApiModel):
    """The outcome of the retry's request."""

    code: Code | Literal["under-way"]
    message: str


class UnknownCauseView(ApiModel):
    """A request that failed with an unknown cause."""

    path: str
    model: str
    submitted: str
    message: str
    log_url: str | None
    page_url: str
    request_url: str


class UnknownListResponse(ApiModel):
    """The public requests with an unknown cause, newest first."""

    unknown: list[UnknownCauseView]
    hidden: int = Field(description="number of requests of models that are not public; `steward unknown` shows them")
    looked_at: int = Field(description="number of failed requests that were read, the newest ones")
