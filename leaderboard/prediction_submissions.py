"""Checks submissions of predictions apart from their files: whether the board takes them, from whom, and when."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import UTC, datetime

from leaderboard.prediction_reasons import REASONS
from leaderboard.predictions import FORMATS, PREDICTIONS, PredictionRules, predictions_place
from leaderboard.reasons import Problem, choice


def predictions_file(model: str, named: object) -> str | Problem:
    """Return the file that the request for `model` names in its field `predictions`; the problem if it may not."""
    places = [predictions_place(model, extension) for extension in FORMATS]
    if isinstance(named, str) and named in places:
        return named
    return REASONS["predictions-place"].problem(places=choice(places))


def models_problem(precisions: Collection[str], *, takes_predictions: bool) -> Problem | None:
    """Return the problem with any model on a board of these `precisions`; None if it takes models.

    A board that takes predictions takes models too if its precisions name both.
    """
    mixes = PREDICTIONS in precisions and len(precisions) > 1
    return REASONS["models-not-taken"].problem() if takes_predictions and not mixes else None


@dataclass(frozen=True)
class PredictionSubmission:
    """The facts about a submission of predictions apart from its file. Times are in seconds since the epoch.

    `is_private` and `weight_type` are those of the request's path. `submitted` is the time of the commit or the pull
    request; `ended` names seasons whose ranking is published. `scored` counts the account's other files in a week.
    `was_scored`: the file has results by another version of the suite, which counted in `season` ("": in none).
    """

    org: str
    submitter: str
    now: float
    submitted: float
    scored: int = 0
    is_private: bool = False
    weight_type: str = "Original"
    ended: Collection[str] = ()
    was_scored: bool = False
    season: str = ""


def submission_problems(facts: PredictionSubmission, rules: PredictionRules) -> list[Problem]:
    """Return every problem of a submission of predictions that does not concern its file."""
    problems = list[Problem]()
    if facts.is_private:
        problems.append(REASONS["predictions-private"].problem())
    if facts.weight_type != "Original":
        problems.append(REASONS["predictions-weights"].problem())
    if facts.submitter != facts.org:
        problems.append(REASONS["predictions-submitter"].problem(who=facts.submitter, org=facts.org))
    if facts.scored >= rules.per_week:
        problems.append(REASONS["predictions-quota"].problem(who=facts.submitter, most=rules.per_week))
    if rules.seasons and not facts.was_scored and not season_of(facts, rules):
        problems.append(REASONS["predictions-season"].problem(next=_next_season(facts.now, rules)))
    return problems


def season_of(facts: PredictionSubmission, rules: PredictionRules) -> str:
    """Return the name of the season in which a submission counts; "" without one.

    It is the season in which it was submitted, unless the ranking of that season is published (the bot may be late), or
    else the season that is open now. A file that was scored stays in its season, and enters no later one.
    """
    if facts.was_scored and facts.season:
        return facts.season
    for time in (facts.submitted,) if facts.was_scored else (facts.submitted, facts.now):
        moment = datetime.fromtimestamp(time, UTC)
        for season in rules.seasons:
            if season.begins <= moment < season.ends and season.name not in facts.ended:
                return season.name
    return ""


def _next_season(now: float, rules: PredictionRules) -> str:
    moment = datetime.fromtimestamp(now, UTC)
    later = sorted((season.begins, season.name) for season in rules.seasons if season.begins > moment)
    return f" The next one, {later[0][1]}, begins on {later[0][0]:%Y-%m-%d at %H:%M UTC}." if later else ""
