"""The status comment of a request: the view that holds its facts, and its text."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Literal

from bot.core.render import printable, render
from bot.read_models.models import QueueBlockerView
from leaderboard.attempts import Failure
from leaderboard.holds import Hold
from leaderboard.predictions import PREDICTIONS
from leaderboard.reasons import Problem
from leaderboard.request_history import Reopening

State = Literal["refused", "unanswered", "waiting", "running", "finished", "failed", "again", "cancelled"]

BAR_BLOCKS = 20
TITLE_LIMIT = 200
"""Characters of a thread's title that the Hub takes."""
ROUNDING_SECONDS = 300.0
"""The times of an estimate are rounded outwards to this."""


@dataclass(frozen=True)
class ScoreRow:
    """One line of the table of scores; `base` and `best` are scores of the base model and the best model, if known."""

    name: str
    score: str
    raw: str
    base: str = ""
    best: str = ""


@dataclass(frozen=True)
class PastLine:
    """One earlier event of the request, and the address of its log, if there is one."""

    what: Reopening
    log_url: str = ""


@dataclass(frozen=True)
class StatusView:
    """All facts that the status comment may show about a request."""

    state: State
    path: str
    request_url: str
    updated: str
    model: str = ""
    model_url: str = ""
    revision: str = ""
    precision: str = ""
    weight_type: str = ""
    submitter: str = ""
    attempt: str = ""
    position: int | None = None
    starts: tuple[float, float] | None = None
    held: QueueBlockerView | None = None
    tier: str = ""
    budget_hours: float = 0.0
    """The GPU-hours of the budget that is used up, if `held` is a budget; `tier` is the request's."""
    why: Hold | None = None
    done: int = 0
    total: int = 0
    reasons: Sequence[Problem] = ()
    writable: bool = True
    failure: Failure | None = None
    has_earlier: bool = False
    scores: Sequence[ScoreRow] = field(default=())
    average: ScoreRow | None = None
    base: str = ""
    """The model that this one was made from, if its scores are known."""
    best: str = ""
    """The best other model of the category."""
    category: str = ""
    rank: int = 0
    """The model's rank by average among the `ranked` evaluations on the board; 0 where none is known."""
    ranked: int = 0
    page_url: str = ""
    """The model's page on the board's own server."""
    past: Sequence[PastLine] = ()
    replayed: int = 0
    """Answers of the finished evaluation that an earlier attempt had computed."""
    results_url: str = ""
    details_url: str = ""
    season: str = ""
    """The season in which predictions count; "" without one."""
    log_url: str = ""
    has_log: bool = False
    """Whether the log of the attempt is stored; without `log_url`, only maintainers can read it."""

    @property
    def is_predictions(self) -> bool:
        """Whether the request is for predictions instead of a model."""
        return self.precision == PREDICTIONS

    @property
    def start(self) -> str:
        """When the evaluation is likely to start; empty if unknown."""
        return start_words(*self.starts) if self.starts is not None else ""

    @property
    def percent(self) -> int:
        """The progress in percent; 0 if the total is unknown."""
        return 100 * self.done // self.total if self.total else 0

    @property
    def bar(self) -> str:
        """The progress as a row of blocks."""
        filled = BAR_BLOCKS * self.percent // 100
        return "█" * filled + "░" * (BAR_BLOCKS - filled)


def status_comment(view: StatusView) -> str:
    """The text of the status comment."""
    return render("status", view=view)


def start_words(earliest: float, latest: float) -> str:
    """A range of times as text: `between 2026-11-25 14:00 and 18:30 UTC`, or `before …` where `earliest` is 0."""
    late = datetime.fromtimestamp(latest + -latest % ROUNDING_SECONDS, UTC)
    if not earliest:
        return f"before {late:%Y-%m-%d %H:%M} UTC"
    early = datetime.fromtimestamp(earliest - earliest % ROUNDING_SECONDS, UTC)
    end = f"{late:%H:%M}" if early.date() == late.date() else f"{late:%Y-%m-%d %H:%M}"
    return f"between {early:%Y-%m-%d %H:%M} and {end} UTC"


def thread_title(name: str, *kind: str) -> str:
    """The title of a thread about the model or file `name`; `kind` are its precision and type of weights.

    The Hub takes 3 to 200 characters.
    """
    kinds = ", ".join(printable(word, limit=20) for word in kind if word)
    return f"Evaluation of {printable(name, limit=130)}{f' ({kinds})' if kinds else ''}"[:TITLE_LIMIT]
