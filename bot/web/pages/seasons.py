"""Seasons of predictions: those to come and open, and the frozen tables of those that ended."""

from typing import Literal

from pydantic import Field, ValidationError

from bot.read_models.models import ApiModel
from bot.web.board import BoardReader
from bot.web.page import NoQuery, Page
from leaderboard.predictions import Season
from leaderboard.seasons import FrozenRow, FrozenSeason
from leaderboard.times import write_time

SeasonState = Literal["future", "open", "ended"]


class SeasonView(ApiModel):
    """One season. Its `rows` are the ranking by the private part of the questions, once its table is published."""

    name: str
    begins: str
    ends: str
    state: SeasonState
    frozen: str | None = Field(description="when its table was published; null: not yet")
    rows: list[FrozenRow]


class SeasonsResponse(ApiModel):
    """All seasons, the newest first."""

    seasons: list[SeasonView]


def seasons(board: BoardReader, _query: NoQuery) -> SeasonsResponse:
    """The seasons of a board that takes predictions, each with its final ranking once it has ended."""
    context, views = board.context, dict[str, SeasonView]()
    rules = context.suite.predictions
    for season in rules.seasons if rules is not None else ():
        views[season.name] = _planned(season, context.now())
    for data in context.redis.hvals(context.keys.seasons):
        try:
            table = FrozenSeason.model_validate_json(data)
        except ValidationError:  # of another version of Steward: a sync stores it again
            continue
        views[table.name] = SeasonView(
            name=table.name,
            begins=table.begins,
            ends=table.ends,
            state="ended",
            frozen=table.frozen,
            rows=list(table.rows),
        )
    return SeasonsResponse(seasons=sorted(views.values(), key=lambda view: view.begins, reverse=True))


def _planned(season: Season, now: float) -> SeasonView:
    """A season without a table."""
    begins, ends = season.begins.timestamp(), season.ends.timestamp()
    state: SeasonState = "future" if now < begins else "open" if now < ends else "ended"
    return SeasonView(
        name=season.name, begins=write_time(begins), ends=write_time(ends), state=state, frozen=None, rows=[]
    )


PAGE = Page(
    "/seasons",
    "seasons",
    seasons,
    NoQuery,
    more_values=lambda board, _query, _view: {
        "requests_url": board.context.address(board.context.requests),
        "columns": board.columns,
    },
    menu="Seasons",
    api_path="/api/seasons",
    summary="Seasons of predictions",
)
