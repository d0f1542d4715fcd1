"""Tiers: the size of machine that a request needs, and the tier offered by workers that serves it.

The size of a request is the size of its weights in memory: parameters times bytes per parameter at its precision. If
the number of parameters is unknown, the size of the weight files counts; if that is unknown too, the tier is medium.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Literal, get_args

from pydantic import BaseModel, ConfigDict, Field, model_validator

Tier = Literal["small", "medium", "large"]
TIERS: tuple[Tier, ...] = get_args(Tier)
"""All tiers, smallest first."""
ALL = "all"
"""The word for every tier in a worker's settings."""

_BITS = {"float32": 32, "float16": 16, "bfloat16": 16, "8bit": 8, "4bit": 4, "gptq": 4}
_GB = 1_000_000_000


class UnknownTier(ValueError):
    """No tier has this name; the message lists the tiers."""


class TierLimits(BaseModel):
    """The largest weights, in GB (10⁹ bytes), of small and of medium requests; larger requests are large."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    small: float = Field(default=16.0, gt=0)
    medium: float = Field(default=70.0, gt=0)

    @model_validator(mode="after")
    def _in_order(self) -> TierLimits:
        if self.small > self.medium:
            raise ValueError("small cannot be larger than medium")
        return self


def weight_bytes(parameters: int | None, precision: str, file_bytes: int | None = None) -> int | None:
    """Return the bytes of the weights in memory; the bytes of the files if the number of parameters is unknown."""
    if parameters and parameters > 0:
        return parameters * _BITS.get(precision.lower(), 16) // 8
    return file_bytes if file_bytes and file_bytes > 0 else None


def tier_of(size: int | None, limits: TierLimits) -> Tier:
    """Return the tier of a request whose weights have `size` bytes; medium if the size is unknown."""
    if size is None:
        return "medium"
    return "small" if size <= limits.small * _GB else "medium" if size <= limits.medium * _GB else "large"


def size_class(size: int | None) -> int:
    """Return the base-two logarithm of `size` in bytes, rounded down; 0 if it is unknown.

    Sizes within a factor of two share a class.
    """
    return size.bit_length() - 1 if size else 0


def parse_tiers(words: Iterable[str]) -> tuple[Tier, ...]:
    """Return the tiers in a worker's settings, smallest first. Raises UnknownTier."""
    names = set(words)
    if unknown := names - {*TIERS, ALL}:
        raise UnknownTier(f"unknown tier {', '.join(sorted(unknown))}: use {', '.join(TIERS)}, or {ALL}")
    return TIERS if ALL in names else tuple(tier for tier in TIERS if tier in names)


def serving(tier: Tier, offered: Collection[Tier]) -> Tier:
    """Return the tier in whose queue a request of `tier` waits: its own, or the next larger tier that is offered."""
    return next((candidate for candidate in TIERS[TIERS.index(tier) :] if candidate in offered), tier)


def larger(tier: Tier, offered: Collection[Tier]) -> Tier:
    """Return the next tier above `tier` that a worker offers; `tier` itself if no worker offers a larger one."""
    return next((candidate for candidate in TIERS[TIERS.index(tier) + 1 :] if candidate in offered), tier)


def lanes(offers: Iterable[Collection[Tier]]) -> Mapping[Tier, Tier]:
    """Map each tier to its lane. Two tiers that one worker serves share a lane: their requests wait for each other.

    `offers` holds the tiers of each worker. A lane has the name of its smallest tier.
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
