"""What maintainers are told, field by field; the same on their pages and by the API."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from bot.intake.inbox_log import KeyState
from bot.read_models.models import ApiModel
from redis_state.board.maintainer_actions import Code


class MarkedKeyView(ApiModel):
    """A key that a delivery made dirty, and what has become of it by now."""

    key: str
    standing: KeyState


class DeliveryView(ApiModel):
    """One delivery of the Hub."""

    id: str = Field(description="as the Hub sent it, or made of the body")
    entry: str = Field(description="its place in the inbox, by which /api/maintain/inbox/{entry} shows its body")
    received: str
    verdict: str = Field(description="what was made of it, in a word")
    meaning: str = Field(description="the same in a sentence")
    marks: list[MarkedKeyView] = Field(description="what it may have changed; the first ones where it is much")
    more_marks: int = 0
    bytes: int


class DeliveryListResponse(ApiModel):
    """A page of deliveries, newest first."""

    deliveries: list[DeliveryView]
    counts: dict[str, int] = Field(description="what was made of all that came → how many")
    kept: int
    kept_bytes: int
    next: str | None = Field(description="`before` of the next page; null where there is none")


class DeliveryResponse(DeliveryView):
    """One delivery with its body: strangers' words, in ASCII, with everything else escaped."""

    body: str
    cut: int = Field(default=0, description="characters of it that are not shown")


class ParkedSyncView(ApiModel):
    """A sync that failed too often and is not tried any more by itself."""

    key: str
    since: str
    tries: int
    error: str = Field(description="what the last try failed of")
    page_url: str = Field(default="", description="the page of the request that it is about")


class ParkedListResponse(ApiModel):
    """All of them, the longest parked first."""

    parked: list[ParkedSyncView]


class WakeBody(BaseModel):
    """Which sync is to be tried again."""

    model_config = ConfigDict(frozen=True, strict=True, extra="ignore")

    key: str = Field(min_length=1, max_length=2_000, description="as /api/maintain/parked has it")


class WakeResponse(ApiModel):
    """What came of it."""

    code: Code | Literal["under-way"]
    message: str


class UnknownCauseView(ApiModel):
    """A request that failed of nobody knows what."""

    path: str
    model: str
    submitted: str
    message: str
    log_url: str | None
    page_url: str
    request_url: str


class UnknownListResponse(ApiModel):
    """Those of them that everybody may see, the newest first."""

    unknown: list[UnknownCauseView]
    hidden: int = Field(description="of models that not everybody may see; `steward unknown` shows them")
    looked_at: int = Field(description="failed requests that were looked at, the newest ones")
