"""Two to five evaluations side by side: scores, differences from the first one, and facts."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated

from fastapi import Query, Request
from pydantic import Field

from bot.read_models.models import ApiModel
from bot.results.details_reader import DetailsRefused, visible_entry
from bot.web.board import BoardReader
from bot.web.incoming import words
from bot.web.leaderboard_view import MAX_PINNED, MAX_VALUES, LeaderboardRowView, row_views
from bot.web.page import Page
from bot.web.request_row import RequestRow
from bot.web.selection import Selection
from leaderboard.predictions import PREDICTIONS
from leaderboard.ranks import benchmark_difference_error, difference_error
from redis_state.board.scoreboard import EvaluationScores

Z95 = 1.959964
"""Standard errors on each side of a 95 % interval."""


class DifferenceView(ApiModel):
    """The difference of a score from that of the first evaluation, and half of its 95 % interval, if known."""

    value: float
    margin: float | None


class ComparedView(ApiModel):
    """One evaluation, with its differences from the first one by benchmark and for the `average`."""

    row: LeaderboardRowView
    differences: dict[str, DifferenceView]
    same_questions: bool = Field(description="whether it answered the same questions as the first one")


class CompareResponse(ApiModel):
    """Evaluations side by side."""

    benchmarks: list[str]
    compared: list[ComparedView]
    unknown: list[str] = Field(description="names and ids that are not on the leaderboard")


@dataclass(frozen=True)
class CompareQuery:
    """The evaluations to compare, at most five: by id, or the best one of a model by its name."""

    pin: Annotated[list[str] | None, Query(description="ids of evaluations", max_length=MAX_VALUES)] = None
    model: Annotated[list[str] | None, Query(description="names of models", max_length=MAX_VALUES)] = None


def compare(board: BoardReader, query: CompareQuery) -> CompareResponse:
    """Two to five evaluations side by side, with their differences from the first one."""
    rows = board.table.leaderboard()
    selected = rows.select(Selection(flagged=True, deleted=True))
    named = [(name, rows.at(name)) for name in query.pin or ()]
    named += [(name, rows.best_of(name)) for name in query.model or ()]
    numbers = list(dict.fromkeys(at for _, at in named if at is not None))[:MAX_PINNED]
    views = row_views(rows, selected, numbers)
    lines = [rows.lines[at] for at in numbers]
    known = board.context.scores.find(line.path for line in lines if not line.id)
    is_same = [rows.group_of(line) == rows.group_of(lines[0]) for line in lines]
    margins = [
        _margins(lines[0], line, known, board.columns, is_comparable=same)
        for line, same in zip(lines, is_same, strict=True)
    ]
    return CompareResponse(
        benchmarks=board.columns,
        compared=[
            ComparedView(row=view, differences=_differences(view, views[0], board.columns, margin), same_questions=same)
            for view, margin, same in zip(views, margins, is_same, strict=True)
        ],
        unknown=[name[:300] for name, at in named if at is None],
    )


def _differences(
    row: LeaderboardRowView, first: LeaderboardRowView, benchmarks: list[str], margins: Mapping[str, float]
) -> dict[str, DifferenceView]:
    if row.id == first.id:
        return {}
    pairs = {name: (row.scores.get(name), first.scores.get(name)) for name in benchmarks}
    pairs["average"] = (row.average, first.average)
    return {
        name: DifferenceView(value=own - first_score, margin=margins.get(name))
        for name, (own, first_score) in pairs.items()
        if own is not None and first_score is not None
    }


def _margins(
    first: RequestRow,
    second: RequestRow,
    known: Mapping[str, EvaluationScores],
    benchmarks: list[str],
    *,
    is_comparable: bool,
) -> dict[str, float]:
    """Half of the 95 % interval of each difference, by benchmark and for the `average`: paired where both evaluations
    answered the same questions, and have influence vectors."""
    stored = [known.get(line.path) if is_comparable and not line.id else None for line in (first, second)]
    margins = {}
    for name in benchmarks:
        if name in first.errors and name in second.errors:
            vectors = [scores.benchmark_influences.get(name, "") if scores is not None else "" for scores in stored]
            errors = (first.errors[name], second.errors[name])
            margins[name] = Z95 * benchmark_difference_error(errors, (vectors[0], vectors[1]))
    error = difference_error(first.ranked, second.ranked) if is_comparable else None
    return margins if error is None else {**margins, "average": Z95 * error}


def _query_of_page(request: Request, _board: BoardReader) -> CompareQuery:
    parameters = request.query_params
    names = [name.strip()[:300] for name in parameters.getlist("model")[:MAX_PINNED] if name.strip()]
    names += [name.strip()[:300] for name in words(request, "add").split(";") if name.strip()]
    return CompareQuery(list(dict.fromkeys(name[:1_200] for name in parameters.getlist("pin")))[:MAX_PINNED], names)


def _page_values(board: BoardReader, _query: CompareQuery, view: CompareResponse) -> Mapping[str, object]:
    rows = [compared.row for compared in view.compared]
    return {"ids": [row.id for row in rows], "answered": [row for row in rows if _has_public_answers(board, row)]}


def _has_public_answers(board: BoardReader, row: LeaderboardRowView) -> bool:
    """Whether pages show this evaluation's answers: only those of a request's newest one, whose id is the path."""
    if row.id != row.path or row.precision == PREDICTIONS:
        return False
    try:
        visible_entry(board.context, row.path)
    except DetailsRefused:
        return False
    return True


PAGE = Page(
    "/compare",
    "compare",
    compare,
    CompareQuery,
    query_of_page=_query_of_page,
    more_values=_page_values,
    api_path="/api/compare",
    summary="Evaluations side by side",
)
