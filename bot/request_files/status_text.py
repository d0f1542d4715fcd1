"""The status comment of a request: one view of it, one text."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

from bot.core.render import printable, render
from bot.read_models.queue_texts import BlockerDetails, start_words
from leaderboard.attempts import Failure
from leaderboard.holds import Hold
from leaderboard.past import Reopening
from leaderboard.requests import Problem

State = Literal["refused", "waiting", "running", "finished", "failed", "again", "cancelled"]

BAR = 20
TITLE_LIMIT = 200


@dataclass(frozen=True)
class ScoreRow:
    """One line of the table of scores, as people read it; `base` and `best` are what others have there, if known."""

    name: str
    score: str
    raw: str
    base: str = ""
    best: str = ""


@dataclass(frozen=True)
class PastLine:
    """One thing that happened to the request before, and where the log of it is, if there is one."""

    what: Reopening
    log_url: str = ""


@dataclass(frozen=True)
class StatusView:
    """Everything that the status comment may say about a request."""

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
    held: BlockerDetails | None = None
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
    """The model that it was made from, if its scores are known."""
    best: str = ""
    """The best of its category beside it."""
    category: str = ""
    past: Sequence[PastLine] = ()
    results_url: str = ""
    details_url: str = ""
    log_url: str = ""

    @property
    def start(self) -> str:
        """When it is likely to start; empty where nobody can say."""
        return start_words(*self.starts) if self.starts is not None else ""

    @property
    def percent(self) -> int:
        """Of the requests that are answered; 0 where the total is not known."""
        return 100 * self.done // self.total if self.total else 0

    @property
    def bar(self) -> str:
        """The progress as a row of blocks."""
        filled = BAR * self.percent // 100
        return "█" * filled + "░" * (BAR - filled)


def status_comment(view: StatusView) -> str:
    """The text of the status comment."""
    return render("status", view=view)


def thread_title(name: str, *kind: str) -> str:
    """The title of a thread about the model or the file `name`, and which `kind` of it: its precision, its weights.

    The Hub takes 3 to 200 characters.
    """
    which = ", ".join(printable(word, limit=20) for word in kind if word)
    return f"Evaluation of {printable(name, limit=130)}{f' ({which})' if which else ''}"[:TITLE_LIMIT]
