"""Tiers: how large a machine a request asks for, and which of those that workers offer will serve it.

A request's size is that of its weights in memory: parameters times what its precision takes for each. Where the number
of parameters is not known, the bytes of the weight files stand for it; where those are not known either, it is medium.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Literal, get_args

from pydantic import BaseModel, ConfigDict, Field, model_validator

Tier = Literal["small", "medium", "large"]
TIERS: tuple[Tier, ...] = get_args(Tier)
"""From the smallest to the largest."""
ALL = "all"
"""What a worker says that takes every tier."""

_BITS = {"float32": 32, "float16": 16, "bfloat16": 16, "8bit": 8, "4bit": 4, "gptq": 4}
_GB = 1_000_000_000


class UnknownTier(ValueError):
    """There is no tier of this name; the message says which there are."""


class TierLimits(BaseModel):
    """Up to how many GB (10⁹ bytes) of weights a request is small, or medium; what is larger is large."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    small: float = Field(default=16.0, gt=0)
    medium: float = Field(default=70.0, gt=0)

    @model_validator(mode="after")
    def _in_order(self) -> TierLimits:
        if self.small > self.medium:
            raise ValueError("small may not reach beyond medium")
        return self


def weight_bytes(parameters: int | None, precision: str, file_bytes: int | None = None) -> int | None:
    """Bytes of the weights in memory; those of the files where the number of parameters is not known."""
    if parameters and parameters > 0:
        return parameters * _BITS.get(precision.lower(), 16) // 8
    return file_bytes if file_bytes and file_bytes > 0 else None


def tier_of(size: int | None, limits: TierLimits) -> Tier:
    """The tier of a request whose weights have `size` bytes; medium where that is not known."""
    if size is None:
        return "medium"
    return "small" if size <= limits.small * _GB else "medium" if size <= limits.medium * _GB else "large"


def size_class(size: int | None) -> int:
    """Sizes within a factor of two share a class: two to its power is at most their bytes. 0: not known."""
    return size.bit_length() - 1 if size else 0


def parse_tiers(words: Iterable[str]) -> tuple[Tier, ...]:
    """The tiers that a worker takes, smallest first, from what its operator wrote. Raises UnknownTier."""
    said = set(words)
    if unknown := said - {*TIERS, ALL}:
        raise UnknownTier(f"there is no tier {', '.join(sorted(unknown))}: say {', '.join(TIERS)}, or {ALL}")
    return TIERS if ALL in said else tuple(tier for tier in TIERS if tier in said)


def serving(tier: Tier, offered: Collection[Tier]) -> Tier:
    """The tier in whose queue a request of `tier` waits: its own, or the next larger one, where nobody offers that."""
    return next((one for one in TIERS[TIERS.index(tier) :] if one in offered), tier)


def larger(tier: Tier, offered: Collection[Tier]) -> Tier:
    """The next tier above `tier` that somebody offers; `tier` itself, where nobody does."""
    return next((one for one in TIERS[TIERS.index(tier) + 1 :] if one in offered), tier)


def lanes(offers: Iterable[Collection[Tier]]) -> Mapping[Tier, Tier]:
    """Tier → lane. Two tiers that one worker takes share a lane: those who wait there wait for each other.

    `offers` are the tiers of each worker. A lane has the name of its smallest tier.
    """
    lane = {tier: tier for tier in TIERS}
    offered: set[Tier] = set()
    for tiers in offers:
        offered.update(tiers)
        joined = {lane[tier] for tier in tiers}
        if joined:
            first = min(joined, key=TIERS.index)
            lane = {tier: first if name in joined else name for tier, name in lane.items()}
    return {tier: lane[serving(tier, offered)] for tier in TIERS}
