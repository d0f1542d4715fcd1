"""Predictions: files of answers to a suite's public questions, submitted in place of a model.

A board holds the private answers. This module has the suite's rules for predictions, the paths of their files, and the
check of a file: it names every problem, with the first cases and the number of all.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import pairwise
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints, model_validator

from leaderboard.prediction_metrics import METRICS, PredictionType, Value
from leaderboard.reasons import Problem, Reason, bounded, choice, names, table

PREDICTIONS = "predictions"
"""The word in place of a precision in a request file's name, and in the table: a row of predictions says what it is."""
FORMATS = ("jsonl", "csv", "parquet")
MAX_BYTES = 20_000_000
"""Bytes of a file of predictions."""
MAX_ROWS = 200_000
MAX_TEXT, MAX_ID = 10_000, 200
"""Characters of a prediction, and of a question's id."""
_MAX_DIGITS = 40
PUBLIC, PRIVATE = "public", "private"
"""The two values of the field that splits the questions."""

FieldName = Annotated[str, StringConstraints(min_length=1, max_length=60)]
DataRepo = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_.-]{1,96}/[A-Za-z0-9_.-]{1,96}$")]


def _in_utc(time: datetime) -> datetime:
    return time.replace(tzinfo=UTC) if time.tzinfo is None else time.astimezone(UTC)


UtcTime = Annotated[datetime, AfterValidator(_in_utc)]


class _Rules(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Season(_Rules):
    """A period of a board: at its end the private part of the questions decides. Times without a zone are in UTC."""

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9-]{0,40}$")
    begins: UtcTime
    ends: UtcTime = Field(description="the first moment after it")

    @model_validator(mode="after")
    def _ends_after_it_begins(self) -> Season:
        if self.ends <= self.begins:
            raise ValueError(f"the season {self.name} ends before it begins")
        return self


class PrivateAnswers(_Rules):
    """The file of the right answers, in a private dataset repo that only the bot reads."""

    repo: DataRepo
    revision: str = Field(pattern=r"^[0-9a-f]{40}$")
    file: str = Field(pattern=r"^[A-Za-z0-9_][A-Za-z0-9_./-]{0,200}\.(jsonl|csv|parquet)$")


class PredictionRules(_Rules):
    """How a suite takes predictions. `answers` has a row for each question: its id, its answer and its part."""

    answers: PrivateAnswers
    type: PredictionType = Field(description="what a prediction is")
    choices: tuple[str, ...] = Field(default=(), max_length=1_000, description="the values of a `choice`")
    tolerance: float = Field(
        default=0.0, ge=0, allow_inf_nan=False, description="distance that the metric `close` allows"
    )
    id: FieldName = Field(default="id", description="field of a question's id, in both files")
    prediction: FieldName = Field(default="prediction", description="field of the prediction, in a submitter's file")
    answer: FieldName = Field(default="answer", description="field of the answer, in the board's file")
    split: FieldName = Field(
        default="split", description="field in the board's file: `public`, or `private` until the season ends"
    )
    task: str = Field(
        default="", max_length=60, description="field in the board's file with the question's task; needed for several"
    )
    per_week: int = Field(default=5, ge=1, le=1_000, description="files that one account may have scored in 7 days")
    rounding: float = Field(
        default=0.001, gt=0, le=0.1, description="step of published scores (0-1): a finer one helps to guess answers"
    )
    seasons: tuple[Season, ...] = Field(
        default=(), max_length=100, description="periods in which predictions are taken; without one, always"
    )

    @model_validator(mode="after")
    def _is_consistent(self) -> PredictionRules:
        if (self.type == "choice") != bool(self.choices):
            raise ValueError("type `choice` needs `choices`, and no other type allows them")
        if len(set(self.choices)) < len(self.choices):
            raise ValueError("a choice is listed twice")
        if len({season.name for season in self.seasons}) < len(self.seasons):
            raise ValueError("two seasons have the same name")
        ordered = sorted(self.seasons, key=lambda season: season.begins)
        for earlier, later in pairwise(ordered):
            if later.begins < earlier.ends:
                raise ValueError(f"the seasons {earlier.name} and {later.name} overlap")
        return self

    def wrong_metrics(self, metrics: Iterable[str]) -> list[str]:
        """Return those of `metrics` (`name,filter`) that cannot be computed for this type of prediction."""
        return [name for name in metrics if self.type not in _types(name)]


def _types(metric: str) -> Collection[str]:
    known = METRICS.get(metric.partition(",")[0])
    return known.types if known is not None else ()


# --- paths

_FILE = re.compile(r"^(?P<org>[^/]+)/(?P<name>[^/]+)_predictions\.(?P<format>jsonl|csv|parquet)$")


def is_predictions_path(path: str) -> bool:
    """Whether `path` is that of a file of predictions in the requests repo."""
    return _FILE.match(path) is not None


def predictions_place(model: str, extension: str = "jsonl") -> str:
    """Return the path of the predictions `model` (`account/name`)."""
    return f"{model}_predictions.{extension}"


def predictions_file(model: str, named: object) -> str | Problem:
    """Return the file that the request for `model` names in its field `predictions`; the problem if it is another."""
    places = [predictions_place(model, extension) for extension in FORMATS]
    if isinstance(named, str) and named in places:
        return named
    return REASONS["predictions-place"].problem(places=choice(places))


def format_of(path: str) -> str:
    """Return the format of a file by its name."""
    return path.rpartition(".")[2]


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
