"""Response models of the API for charts: durations in seconds, and compared scores from 0 to 100."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import ConfigDict, Field

from bot.read_models.models import ApiModel
from leaderboard.attempts import Fault


class DurationSpreadView(ApiModel):
    """Quantiles of durations: of `among` evaluations, that share took no longer; exact to about a fifth."""

    name: str = Field(description="the tier or the precision; empty: all evaluations")
    among: int
    tenth: float
    quarter: float
    half: float
    three_quarters: float
    nine_tenths: float


class DurationSpreadsView(ApiModel):
    """Quantiles of all evaluations, by tier and by precision; groups without evaluations are left out."""

    overall: DurationSpreadView | None = None
    tiers: list[DurationSpreadView] = Field(default_factory=list)
    precisions: list[DurationSpreadView] = Field(default_factory=list)


class DailyOutcomesView(ApiModel):
    """Attempts that ended on one UTC day. `failed` counts them by who was at fault; some are retried."""

    day: str
    finished: int
    failed: dict[Fault, int]


class QueueLengthView(ApiModel):
    """The average numbers of waiting and running requests, from `at` until the next entry."""

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
    """Durations and outcomes of the last `days`, today included. `since` is the first day with figures."""

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
    since: str | None = Field(description="null if there are no figures")
    waiting: DurationSpreadsView = Field(description="from submission to start of the first attempt of each request")
    running: DurationSpreadsView = Field(description="from start to end of evaluations that finished")
    ended: list[DailyOutcomesView] = Field(description="each day, oldest first")
    queue: list[QueueLengthView] = Field(description="oldest first; periods without figures are left out")

    @property
    def finished(self) -> int:
        """The number of attempts that finished."""
        return sum(day.finished for day in self.ended)

    @property
    def failed(self) -> int:
        """The number of attempts that failed."""
        return sum(sum(day.failed.values()) for day in self.ended)


class ScoresView(ApiModel):
    """The scores of an evaluation, 0-100."""

    average: float
    benchmarks: dict[str, float] = Field(description="by name, in the suite's order")


Reference = Literal["base", "best", "middle"]


class ReferenceScoresView(ScoresView):
    """Scores to compare with: of the `base` model, of the `best` other model of the category, or of its `middle`.

    The middle is the median of `among` models, benchmark by benchmark; it belongs to no model and has no path.
    """

    what: Reference
    model: str = ""
    path: str = ""
    among: int = 1


class ComparisonView(ApiModel):
    """A model's best evaluation compared with others by the same suite; flagged ones are left out."""

    model: str
    path: str
    category: str
    own: ScoresView
    others: list[ReferenceScoresView]
