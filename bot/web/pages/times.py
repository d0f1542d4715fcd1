"""How long requests wait and evaluations take, as tables and charts."""

from dataclasses import dataclass
from typing import Annotated

from fastapi import Query

from bot.web.board import BoardReader
from bot.web.chart_routes import days_of
from bot.web.charts.models import TimingsResponse
from bot.web.charts.pictures import PICTURES, day_words
from bot.web.charts.serializers import chart_context
from bot.web.charts.times import DEFAULT_DAYS
from bot.web.charts.words import ENDS, short_span
from bot.web.page import Page
from leaderboard.timings import PERIODS


@dataclass(frozen=True)
class TimesQuery:
    """The period to count."""

    days: Annotated[
        int, Query(description="period to count: 7, 30 or 90; another number means the next one", ge=1, le=90)
    ] = DEFAULT_DAYS


def times(board: BoardReader, query: TimesQuery) -> TimingsResponse:
    """Usual times by tier and precision, outcomes by day and by who was at fault, and the length of the queue."""
    return board.times.times(min(period for period in PERIODS if period >= query.days))


def _charts(_board: BoardReader, query: TimesQuery, view: TimingsResponse) -> dict[str, object]:
    pictures = {
        name: chart_context(picture(view), f"/charts/{name}.svg?days={query.days}&")
        for name, picture in PICTURES.items()
    }
    return {"pictures": pictures, "lengths": PERIODS, "span": short_span, "day": day_words, "ENDS": ENDS}


PAGE = Page(
    "/times",
    "times",
    times,
    TimesQuery,
    query_of_page=lambda request, _: TimesQuery(days_of(request)),
    more_values=_charts,
    menu="Times",
    api_path="/api/times",
    summary="How long things take",
    operation="api_times",
)
