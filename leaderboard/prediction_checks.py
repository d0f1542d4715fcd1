"""The check of a file of predictions: every kind of problem, with its first cases and their number."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from leaderboard.prediction_metrics import Value
from leaderboard.prediction_reasons import REASONS
from leaderboard.predictions import MAX_ID, MAX_TEXT, PredictionRules
from leaderboard.reasons import Problem, bounded, names

_MAX_DIGITS = 40
_DECIMAL = re.compile(r"[ \t]*[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?[ \t]*")
"""A number as other programs write it into text. Python's `float` reads more, such as `1_000` and other digits."""


@dataclass(frozen=True)
class PredictionRow:
    """One row as the file has it: its number from 1, its id and its value; a list or an object is `Unusable`."""

    number: int
    id: Value | Unusable
    value: Value | Unusable


@dataclass(frozen=True)
class Unusable:
    """A cell that is neither a text nor a number; `what` describes it."""

    what: str


@dataclass(frozen=True)
class PredictionTable:
    """The rows of a readable file. `bad_count` lines are no rows; `bad_lines` has the numbers of some of them."""

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
    """Return the first three cases and the number of the others, as a part of a sentence."""
    shown = names(cases[:3])
    return f"{shown} and {count - 3:,} more" if count > 3 else shown


def as_id(value: Value | Unusable) -> str | None:
    """Return a question's id as text; None for a value that cannot be one."""
    if isinstance(value, bool) or not isinstance(value, str | int):
        return None
    text = str(value) if isinstance(value, str) or abs(value) < 10**_MAX_DIGITS else ""
    return text if 0 < len(text) <= MAX_ID else None


def as_prediction(value: Value | Unusable, rules: PredictionRules) -> Value | None:
    """Return a cell as a prediction or an answer of the suite's type; None if it is not of that type."""
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
    if isinstance(value, str) and (len(value) > _MAX_DIGITS or not _DECIMAL.fullmatch(value)):
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
