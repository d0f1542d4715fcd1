"""What keeps the attempts of a worker backend from running, as maintainers are told of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from leaderboard.backends import Blocked
from leaderboard.tiers import Tier

AWAY_SECONDS = 600.0
"""Seconds of a platform's errors after which maintainers are told."""


@dataclass(frozen=True)
class BackendTrouble:
    """What keeps the attempts of one tier from running, `since` when; an `error` is the platform's, for maintainers."""

    tier: Tier
    since: float
    error: str = ""
    blocked: Blocked = ""
    failing: tuple[str, ...] = ()

    def is_told(self, now: float) -> bool:
        """Whether maintainers are told by now: a platform that is away for a moment is no news."""
        return not self.error or now - self.since >= AWAY_SECONDS

    @property
    def kind(self) -> Literal["away", "tasks", "failing", "by_day", "by_month", ""]:
        """What the trouble is, in a word."""
        if self.error:
            return "away"
        return "tasks" if self.blocked == "tasks" else "failing" if self.failing else self.blocked

    @property
    def title(self) -> str:
        """What a maintainer is told in public: neither models nor the platform's words are in it."""
        if self.error:
            return f"tier {self.tier}: its platform refuses or does not answer"
        if self.blocked == "tasks":
            return f"tier {self.tier}: its workers' tasks differ from those of the board's results"
        if self.failing:
            count = len(self.failing)
            return f"tier {self.tier}: the runs of {count} attempt{'' if count == 1 else 's'} end before they evaluate"
        return f"tier {self.tier}: the cost limit {self.blocked} is used up"
