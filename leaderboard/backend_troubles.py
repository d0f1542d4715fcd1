"""The trouble that keeps the attempts of a worker backend from running, described for maintainers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from leaderboard.backends import Blocked
from leaderboard.tiers import Tier

AWAY_SECONDS = 600.0
"""Seconds for which a platform must fail before the bot reports it to maintainers."""


@dataclass(frozen=True)
class BackendTrouble:
    """Why the attempts of one tier have not run since the time `since`; `error` is the platform's own message."""

    tier: Tier
    since: float
    error: str = ""
    blocked: Blocked = ""
    failing: tuple[str, ...] = ()

    def is_told(self, now: float) -> bool:
        """Whether the bot reports the trouble to maintainers at `now`: a platform that fails only briefly is not."""
        return not self.error or now - self.since >= AWAY_SECONDS

    @property
    def kind(self) -> Literal["away", "tasks", "failing", "by_day", "by_month", ""]:
        """The kind of trouble in one word; "" without trouble."""
        if self.error:
            return "away"
        return "tasks" if self.blocked == "tasks" else "failing" if self.failing else self.blocked

    @property
    def title(self) -> str:
        """The public sentence for maintainers, without names of models and without the platform's message."""
        if self.error:
            return f"tier {self.tier}: its platform refuses or does not answer"
        if self.blocked == "tasks":
            return f"tier {self.tier}: its workers' tasks differ from those of the board's results"
        if self.failing:
            count = len(self.failing)
            return f"tier {self.tier}: the runs of {count} attempt{'' if count == 1 else 's'} end before they evaluate"
        return f"tier {self.tier}: the cost limit {self.blocked} is used up"
