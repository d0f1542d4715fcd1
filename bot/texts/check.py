"""The answer to a check: every rule, passed or failed, with what to do."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from bot.texts.render import render
from leaderboard.admission import Outcome
from leaderboard.requests import Problem


@dataclass(frozen=True)
class CheckLine:
    """What one rule says: its name and title, and every reason where it failed."""

    rule: str
    title: str
    outcome: Outcome
    reasons: tuple[Problem, ...] = ()


@dataclass(frozen=True)
class CheckView:
    """Everything that the answer may say; `sha` is the commit that was looked at, if any."""

    model: str
    precision: str
    accepted: bool
    sha: str
    lines: Sequence[CheckLine]

    @property
    def failed(self) -> int:
        """How many rules failed."""
        return sum(line.outcome == "failed" for line in self.lines)


def check_report(view: CheckView) -> str:
    """The text, in Markdown."""
    return render("check", view=view)
