"""Texts about the queue: the blocker of a request, results of commands, expected starts."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal

from bot.core.render import render

Code = Literal[
    "cancelled",
    "cancelled-already",
    "over",
    "missing",
    "unreadable",
    "foreign",
    "held",
    "held-already",
    "unheld",
    "not-held",
    "priority",
    "priority-already",
    "paused",
    "paused-already",
    "resumed",
    "not-paused",
    "no-target",
    "bad-pauses",
    "off",
]
"""The possible results of a command; each is a sentence in `ruling.md.j2`."""


@dataclass(frozen=True)
class BlockerDetails:
    """The blocker of a request: `kind` is hold, pause or budget; `what` is the target of the pause or budget."""

    kind: str
    what: str = ""
    tier: str = ""
    hours: float = 0.0
    reason: str = ""
    by: str = ""

    @property
    def scope(self) -> str:
        """The kind of a pause's target: `board`, `tier` or `suite`."""
        return self.what.partition(":")[0]

    @property
    def name(self) -> str:
        """The name of the paused tier or suite."""
        return self.what.partition(":")[2]

    @property
    def amount(self) -> str:
        """The hours as a short number."""
        return f"{self.hours:g}"


@dataclass(frozen=True)
class QueueCommandResult:
    """The result of a maintainer's command: `done` says whether it changes anything; `code` names the sentence."""

    code: Code
    done: bool
    what: str = ""
    reason: str = ""

    @property
    def words(self) -> str:
        """The sentence, as Markdown."""
        return render("ruling", ruling=self).strip()


ROUNDING_SECONDS = 300.0
"""The times of an estimate are rounded outwards to this."""


def start_words(earliest: float, latest: float) -> str:
    """`between 2026-11-25 14:00 and 18:30 UTC`; `before …` where `earliest` is 0, which means at any moment."""
    late = datetime.fromtimestamp(latest + -latest % ROUNDING_SECONDS, UTC)
    if not earliest:
        return f"before {late:%Y-%m-%d %H:%M} UTC"
    early = datetime.fromtimestamp(earliest - earliest % ROUNDING_SECONDS, UTC)
    end = f"{late:%H:%M}" if early.date() == late.date() else f"{late:%Y-%m-%d %H:%M}"
    return f"between {early:%Y-%m-%d %H:%M} and {end} UTC"
