"""Budgets: GPU-hours for a tier or a submitter per day, and for one request over all its attempts.

A running attempt counts with its expected duration from its start, and with its real duration once it ends, so that
many simultaneous attempts cannot all start under one budget. A request starts while any of its budget is left, and it
may run to its end.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from leaderboard.tiers import Tier

HOUR, DAY = 3_600.0, 86_400.0
BudgetKind = Literal["tier", "submitter", "request"]


class Budgets(BaseModel):
    """GPU-hours; None, or a tier without an entry, means no limit."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    by_tier: Mapping[Tier, float] = Field(default_factory=dict, description="in any 24 hours, by tier")
    by_submitter: float | None = Field(default=None, ge=0, description="in any 24 hours, each submitter")
    by_request: float | None = Field(default=None, ge=0, description="over all attempts of one request")

    @property
    def unlimited(self) -> bool:
        """Whether no budget is set."""
        return not self.by_tier and self.by_submitter is None and self.by_request is None


@dataclass
class Spent:
    """GPU-seconds that count at this moment, by tier, by submitter and by request."""

    tiers: dict[str, float] = field(default_factory=dict)
    submitters: dict[str, float] = field(default_factory=dict)
    requests: dict[str, float] = field(default_factory=dict)

    def add(self, seconds: float, *, tier: str, submitter: str, path: str) -> None:
        """Add the seconds of one attempt."""
        for totals, name in ((self.tiers, tier), (self.submitters, submitter), (self.requests, path)):
            totals[name] = totals.get(name, 0.0) + seconds

    def copy(self) -> Spent:
        """Return an independent copy."""
        return Spent(dict(self.tiers), dict(self.submitters), dict(self.requests))


def used_up(budgets: Budgets, spent: Spent, *, tier: Tier, submitter: str, path: str) -> BudgetKind | None:
    """Return the kind of budget that this request has used up; None if budget is left."""
    if _is_used(budgets.by_request, spent.requests.get(path, 0.0)):
        return "request"
    if _is_used(budgets.by_submitter, spent.submitters.get(submitter, 0.0)):
        return "submitter"
    return "tier" if _is_used(budgets.by_tier.get(tier), spent.tiers.get(tier, 0.0)) else None


def hours(budgets: Budgets, kind: str, tier: Tier) -> float:
    """Return the GPU-hours of one kind of budget; 0.0 if it has no limit, or there is no such kind."""
    limits = {"request": budgets.by_request, "submitter": budgets.by_submitter, "tier": budgets.by_tier.get(tier)}
    return limits.get(kind) or 0.0


def _is_used(limit: float | None, seconds: float) -> bool:
    return limit is not None and seconds >= limit * HOUR
