"""The check of submitted predictions: every problem of a file and of its submission, with first cases and a count."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from leaderboard.prediction_metrics import Value
from leaderboard.predictions import (
    FORMATS,
    MAX_ID,
    MAX_TEXT,
    PREDICTIONS,
    PredictionRules,
    Season,
    predictions_place,
)
from leaderboard.reasons import Problem, Reason, bounded, choice, names, table

_MAX_DIGITS = 40

# --- reasons

REASONS = table(
    (
        Reason(
            "predictions-not-taken",
            "This leaderboard takes models, but no files of predictions.",
            "Submit a model, or choose a leaderboard that takes predictions.",
        ),
        Reason(
            "models-not-taken",
            "This leaderboard takes predictions, and no models.",
            "Submit a file of predictions, as the leaderboard's page describes.",
        ),
        Reason(
            "predictions-by-file",
            "Predictions are submitted as files, not here.",
            "Open a pull request in the requests repo with {places} and its request.",
        ),
        Reason(
            "predictions-private",
            "A request for predictions cannot be private.",
            "Name the request file …_eval_request_False_predictions_Original.json.",
        ),
        Reason(
            "predictions-weights",
            "A request for predictions has the weight type Original.",
            "Name the request file …_eval_request_False_predictions_Original.json.",
        ),
        Reason(
            "predictions-place",
            "The request does not name its file of predictions.",
            'Commit it as {places}, and write its path into the field "predictions".',
        ),
        Reason(
            "predictions-gone",
            "There is no file {path} beside the request.",
            "Commit the file of predictions together with the request.",
        ),
        Reason(
            "predictions-submitter",
            "'{who}' submitted predictions in the folder of '{org}'.",
            "Put request and predictions into the folder {who}/: predictions belong to the account that submits them.",
        ),
        Reason(
            "predictions-quota",
            "'{who}' has reached the limit of {most} files of predictions in 7 days.",
            "Submit it again in a few days. Refused files do not count.",
        ),
        Reason(
            "predictions-season",
            "No season is open at the moment.{next}",
            "Submit it again when a season is open.",
        ),
        Reason(
            "predictions-too-large",
            "The file of predictions has more than {most} bytes.",
            "Keep the ids and the predictions only, or write it as parquet.",
        ),
        Reason(
            "predictions-rows",
            "The file of predictions has more than {most} rows.",
            "Write one row for each question.",
        ),
        Reason(
            "predictions-costly",
            "Reading the file of predictions takes too much time or memory.",
            "Write it as plain JSON lines or CSV. A compressed file may not be much larger when it is read.",
        ),
        Reason(
            "predictions-compressed",
            "The file of predictions is compressed ({kind}).",
            "Commit it without compression, or as parquet.",
        ),
        Reason(
            "predictions-encoding",
            "The file of predictions is not text in UTF-8{guess}.",
            "Save it in UTF-8.",
        ),
        Reason(
            "predictions-unreadable",
            "The file of predictions cannot be read as {format}: {why}.",
            "Check it with a program that reads {format}, and commit it again.",
        ),
        Reason(
            "predictions-fields",
            "The file of predictions does not have the field {fields} exactly once.",
            "Each row needs the fields '{id}' and '{prediction}'. The file has {present}.",
        ),
        Reason(
            "predictions-lines",
            "Lines that are no JSON objects ({count}): {first}.",
            'Write one object in each line, as in {{"{id}": …, "{prediction}": …}}.',
        ),
        Reason(
            "predictions-ids",
            "Rows without a usable id ({count}): {first}.",
            "An id is the text or the whole number that the question has.",
        ),
        Reason(
            "predictions-doubled", "Ids that occur more than once ({count}): {first}.", "Predict each question once."
        ),
        Reason(
            "predictions-foreign",
            "Ids that no question has ({count}): {first}.",
            "Remove these rows, or correct their ids.",
        ),
        Reason(
            "predictions-missing",
            "Questions without a prediction ({count}): {first}.",
            "Predict every question.",
        ),
        Reason(
            "predictions-wrong", "Predictions that are not {what} ({count}): {first}.", "Correct these predictions."
        ),
    )
)


def predictions_file(model: str, named: object) -> str | Problem:
    """Return the file that the request for `model` names in its field `predictions`; the problem if it is another."""
    places = [predictions_place(model, extension) for extension in FORMATS]
    if isinstance(named, str) and named in places:
        return named
    return REASONS["predictions-place"].problem(places=choice(places))


# --- the check of a file


@dataclass(frozen=True)
class PredictionRow:
    """One row as the file has it: its number from 1, its id and its value; a list or an object is `Unusable`."""

    number: int
    id: Value | Unusable
    value: Value | Unusable


@dataclass(frozen=True)
class Unusable:
    """A cell that is no text and no number; `what` describes it."""

    what: str


@dataclass(frozen=True)
class PredictionTable:
    """The rows of a file that could be read; `bad_lines` are numbers of lines that are no rows, `bad_count` of all."""

    rows: tuple[PredictionRow, ...] = ()
    bad_lines: tuple[int, ...] = ()
    bad_count: int = 0


@dataclass(frozen=True)
class CheckedPredictions:
    """The predictions by question's id; `problems` is empty if the file is complete and right."""

    by_id: Mapping[str, Value]
    problems: tuple[Problem, ...] = ()


def check_predictions(read: PredictionTable, ids: Collection[str], rules: PredictionRules) -> CheckedPredictions:
    """Check a file of predictions of the questions `ids`."""
    by_id: dict[str, Value] = {}
    counts, no_ids, wrong = Counter[str](), list[str](), list[str]()
    for row in read.rows:
        question = as_id(row.id)
        if question is None:
            no_ids.append(f"row {row.number}")
            continue
        counts[question] += 1
        value = as_prediction(row.value, rules)
        if value is None:
            wrong.append(f"{bounded(question, 30)}: {_shown(row.value)}")
        else:
            by_id[question] = value
    doubled = [question for question, count in counts.items() if count > 1]
    foreign = [question for question in counts if question not in ids]
    missing = [question for question in ids if question not in counts]
    lines = [f"line {number}" for number in read.bad_lines]
    fields = {"id": rules.id, "prediction": rules.prediction, "what": _what(rules)}
    kinds = (
        ("predictions-lines", lines, read.bad_count),
        ("predictions-ids", no_ids, len(no_ids)),
        ("predictions-doubled", doubled, len(doubled)),
        ("predictions-foreign", foreign, len(foreign)),
        ("predictions-missing", missing, len(missing)),
        ("predictions-wrong", wrong, len(wrong)),
    )
    problems = [
        REASONS[code].problem(count=f"{count:,}", first=_first(cases, count), **fields)
        for code, cases, count in kinds
        if count
    ]
    return CheckedPredictions(by_id, tuple(problems))


def _first(cases: Sequence[str], count: int) -> str:
    """The first three cases, and how many more there are."""
    shown = names(cases[:3])
    return f"{shown} and {count - 3:,} more" if count > 3 else shown


def as_id(value: Value | Unusable) -> str | None:
    """Return a question's id as text; None for a value that cannot be one."""
    if isinstance(value, bool) or not isinstance(value, str | int):
        return None
    text = str(value) if isinstance(value, str) or abs(value) < 10**_MAX_DIGITS else ""
    return text if 0 < len(text) <= MAX_ID else None


def as_prediction(value: Value | Unusable, rules: PredictionRules) -> Value | None:
    """Return a cell as a prediction or an answer of the suite's type; None if it is none."""
    if rules.type == "number":
        return _number(value)
    if isinstance(value, bool) or not isinstance(value, str | int):
        return None
    if isinstance(value, int) and abs(value) >= 10**_MAX_DIGITS:
        return None
    text = str(value)
    if rules.type == "choice":
        return text if text in rules.choices else None
    return text if len(text) <= MAX_TEXT else None


def _number(value: Value | Unusable) -> float | None:
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return None
    if isinstance(value, str) and len(value) > _MAX_DIGITS:
        return None
    try:
        number = float(value)
    except (ValueError, OverflowError):
        return None
    return number if math.isfinite(number) and abs(number) < 1e100 else None


def _what(rules: PredictionRules) -> str:
    if rules.type == "choice":
        return f"one of {names(rules.choices)}"
    return "numbers" if rules.type == "number" else f"texts of at most {MAX_TEXT:,} characters"


def _shown(value: Value | Unusable) -> str:
    if isinstance(value, Unusable):
        return value.what
    if value is None:
        return "nothing"
    return bounded(value, 25) if not isinstance(value, int) or abs(value) < 10**_MAX_DIGITS else "a huge number"


# --- what a board takes, who may submit, and when


def models_problem(precisions: Collection[str], *, takes_predictions: bool) -> Problem | None:
    """Return the problem with any model on a board of these `precisions`; None if it takes models.

    A board that takes predictions takes models too if its precisions name both.
    """
    mixes = PREDICTIONS in precisions and len(precisions) > 1
    return REASONS["models-not-taken"].problem() if takes_predictions and not mixes else None


@dataclass(frozen=True)
class PredictionSubmission:
    """The facts about a submission of predictions beside its file. Times are in seconds since the epoch.

    `is_private` and `weight_type` are those of the request's path. `submitted` is the time of the commit or the pull
    request; `ended` names seasons whose ranking is published. `scored` counts the account's other files in a week.
    """

    org: str
    submitter: str
    now: float
    submitted: float
    scored: int = 0
    is_private: bool = False
    weight_type: str = "Original"
    ended: Collection[str] = ()


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
    if rules.seasons and season_of(facts, rules) is None:
        problems.append(REASONS["predictions-season"].problem(next=_next_season(facts.now, rules)))
    return problems


def season_of(facts: PredictionSubmission, rules: PredictionRules) -> Season | None:
    """Return the season in which a submission counts; None without one.

    It is the season of its own time while that one's ranking is not published, since the bot may be late, or else the
    one that is open now.
    """
    for time in (facts.submitted, facts.now):
        moment = datetime.fromtimestamp(time, UTC)
        for season in rules.seasons:
            if season.begins <= moment < season.ends and season.name not in facts.ended:
                return season
    return None


def _next_season(now: float, rules: PredictionRules) -> str:
    moment = datetime.fromtimestamp(now, UTC)
    later = sorted((season.begins, season.name) for season in rules.seasons if season.begins > moment)
    return f" The next one, {later[0][1]}, begins on {later[0][0]:%Y-%m-%d at %H:%M UTC}." if later else ""
