"""What people are told about the queue: what holds a request back, and what came of what they asked for."""

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
"""What may come of a wish: each is a sentence in `ruling.md.j2`."""


@dataclass(frozen=True)
class BlockerDetails:
    """What holds a request back: `kind` is hold, pause or budget; `what` the pause's target, or whose budget."""

    kind: str
    what: str = ""
    tier: str = ""
    hours: float = 0.0
    reason: str = ""
    by: str = ""

    @property
    def scope(self) -> str:
        """`board`, `tier` or `suite`, of a pause."""
        return self.what.partition(":")[0]

    @property
    def name(self) -> str:
        """Of the tier or the suite that is paused."""
        return self.what.partition(":")[2]

    @property
    def amount(self) -> str:
        """The hours, as people write them."""
        return f"{self.hours:g}"


@dataclass(frozen=True)
class QueueCommandResult:
    """What came of a maintainer's wish: `done` says whether anything will change; `code` names the sentence."""

    code: Code
    done: bool
    what: str = ""
    reason: str = ""

    @property
    def words(self) -> str:
        """The sentence, as Markdown."""
        return render("ruling", ruling=self).strip()


STEP = 300.0
"""Seconds to which the times of an estimate are rounded, outwards."""


def start_words(earliest: float, latest: float) -> str:
    """`between 2026-11-25 14:00 and 18:30 UTC`; `before …` where `earliest` is 0: it may be at any moment."""
    late = datetime.fromtimestamp(latest + -latest % STEP, UTC)
    if not earliest:
        return f"before {late:%Y-%m-%d %H:%M} UTC"
    early = datetime.fromtimestamp(earliest - earliest % STEP, UTC)
    end = f"{late:%H:%M}" if early.date() == late.date() else f"{late:%Y-%m-%d %H:%M}"
    return f"between {early:%Y-%m-%d %H:%M} and {end} UTC"
