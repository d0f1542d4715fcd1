"""What the API answers that charts are drawn of: how long things take, in seconds, and scores beside scores, 0-100."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import ConfigDict, Field

from bot.read_models.models import ApiModel
from leaderboard.attempts import Fault


class DurationSpreadView(ApiModel):
    """What is usual: of `among` evaluations so many tenths, or quarters, took no longer than this, within a fifth."""

    name: str = Field(description="of the tier or the precision; empty: of all")
    among: int
    tenth: float
    quarter: float
    half: float
    three_quarters: float
    nine_tenths: float


class DurationSpreadsView(ApiModel):
    """What is usual of all, by tier and by precision; those are left out of which none was counted."""

    overall: DurationSpreadView | None = None
    tiers: list[DurationSpreadView] = Field(default_factory=list)
    precisions: list[DurationSpreadView] = Field(default_factory=list)


class DailyOutcomesView(ApiModel):
    """Evaluations that ended on one day, in UTC. `failed` are told by whose fault it was; one may be tried again."""

    day: str
    finished: int
    failed: dict[Fault, int]


class QueueLengthView(ApiModel):
    """How many waited, and how many ran, on average from `at` until the next one."""

    at: str
    waiting: float
    running: float


SPREAD: dict[str, Any] = {
    "name": "small",
    "among": 214,
    "tenth": 610.0,
    "quarter": 1_900.0,
    "half": 5_200.0,
    "three_quarters": 14_000.0,
    "nine_tenths": 31_000.0,
}


class TimingsResponse(ApiModel):
    """How long things took within the last `days`, today included. `since` is the first day on which it was counted."""

    model_config = ConfigDict(
        frozen=True,
        json_schema_extra={
            "examples": [
                {
                    "days": 30,
                    "since": "2026-10-26",
                    "waiting": {"overall": {**SPREAD, "name": ""}, "tiers": [SPREAD], "precisions": []},
                    "running": {"overall": None, "tiers": [], "precisions": []},
                    "ended": [{"day": "2026-11-24", "finished": 31, "failed": {"submission": 4, "us": 1}}],
                    "queue": [{"at": "2026-11-24T16:00:00Z", "waiting": 12.5, "running": 4.0}],
                }
            ]
        },
    )

    days: int
    since: str | None = Field(description="null where nothing was counted")
    waiting: DurationSpreadsView = Field(description="from submission to start, of the first attempt at each request")
    running: DurationSpreadsView = Field(description="from start to end, of evaluations that came to results")
    ended: list[DailyOutcomesView] = Field(description="each day, oldest first")
    queue: list[QueueLengthView] = Field(description="oldest first; where nobody counted there is a gap")

    @property
    def finished(self) -> int:
        """How many came to results."""
        return sum(one.finished for one in self.ended)

    @property
    def failed(self) -> int:
        """How many did not."""
        return sum(sum(one.failed.values()) for one in self.ended)


class ScoresView(ApiModel):
    """What an evaluation came to, 0-100."""

    average: float
    benchmarks: dict[str, float] = Field(description="by name, in the suite's order")


Whose = Literal["base", "best", "middle"]


class ReferenceScoresView(ScoresView):
    """Scores to compare with: those of the `base` model, of the `best` other one of the category, or of its `middle`.

    The middle is the median of `among` models, benchmark by benchmark; it is no model's, and has no path.
    """

    what: Whose
    model: str = ""
    path: str = ""
    among: int = 1


class ComparisonView(ApiModel):
    """A model's best evaluation beside others by the same suite; flagged ones are not among them."""

    model: str
    path: str
    category: str
    own: ScoresView
    others: list[ReferenceScoresView]
