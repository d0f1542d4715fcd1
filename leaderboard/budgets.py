"""Budgets: how many GPU-hours may go to a tier or to a submitter in a day, and to one request over all its attempts.

An attempt counts from its start, for as long as it is expected to run, and then for as long as it ran: so many attempts
at once cannot all slip in under one budget. Whoever has anything left may begin, and finish what was begun.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from leaderboard.tiers import Tier

HOUR, DAY = 3_600.0, 86_400.0
Whose = Literal["tier", "submitter", "request"]


class Budgets(BaseModel):
    """GPU-hours; None, or a tier that is not named: as many as there are."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    by_tier: Mapping[Tier, float] = Field(default_factory=dict, description="in any 24 hours, by tier")
    by_submitter: float | None = Field(default=None, ge=0, description="in any 24 hours, each submitter")
    by_request: float | None = Field(default=None, ge=0, description="over all attempts of one request")

    @property
    def unlimited(self) -> bool:
        """Whether nothing is ever held back."""
        return not self.by_tier and self.by_submitter is None and self.by_request is None


@dataclass
class Spent:
    """GPU-seconds that count at this moment, by whose they are."""

    tiers: dict[str, float] = field(default_factory=dict)
    submitters: dict[str, float] = field(default_factory=dict)
    requests: dict[str, float] = field(default_factory=dict)

    def add(self, seconds: float, *, tier: str, submitter: str, path: str) -> None:
        """Another attempt."""
        for kind, name in ((self.tiers, tier), (self.submitters, submitter), (self.requests, path)):
            kind[name] = kind.get(name, 0.0) + seconds

    def copy(self) -> Spent:
        """The same, to be added to apart."""
        return Spent(dict(self.tiers), dict(self.submitters), dict(self.requests))


def used_up(budgets: Budgets, spent: Spent, *, tier: Tier, submitter: str, path: str) -> Whose | None:
    """Whose budget holds this request back, if any does."""
    if _is_used(budgets.by_request, spent.requests.get(path, 0.0)):
        return "request"
    if _is_used(budgets.by_submitter, spent.submitters.get(submitter, 0.0)):
        return "submitter"
    return "tier" if _is_used(budgets.by_tier.get(tier), spent.tiers.get(tier, 0.0)) else None


def hours(budgets: Budgets, whose: Whose, tier: Tier) -> float:
    """How many GPU-hours that budget has."""
    found = {"request": budgets.by_request, "submitter": budgets.by_submitter, "tier": budgets.by_tier.get(tier)}
    return found[whose] or 0.0


def _is_used(limit: float | None, seconds: float) -> bool:
    return limit is not None and seconds >= limit * HOUR
