"""Metrics that compare predictions with answers. Each is a number in 0-1, and more is better."""

from __future__ import annotations

import math
import re
import sys
import unicodedata
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

PredictionType = Literal["choice", "text", "number"]
Value = str | int | float | bool | None
"""A cell of a file of predictions or of answers."""
Pairs = Sequence[tuple[Value, Value]]
"""Prediction and answer of each question."""

_SPACE = re.compile(r"\s+")
_WORD = re.compile(r"\w+")


@dataclass(frozen=True)
class PredictionMetric:
    """One metric: `compute` takes pairs and a tolerance. `is_mean`: its value is the share of right predictions."""

    compute: Callable[[Pairs, float], float]
    types: tuple[PredictionType, ...]
    explains: str
    is_mean: bool = True


def _accuracy(pairs: Pairs, _tolerance: float) -> float:
    return sum(prediction == answer for prediction, answer in pairs) / len(pairs)


def _exact_match(pairs: Pairs, _tolerance: float) -> float:
    return sum(_plain(prediction) == _plain(answer) for prediction, answer in pairs) / len(pairs)


def _macro_f1(pairs: Pairs, _tolerance: float) -> float:
    """The mean of each answer's F1, over the answers that occur."""
    right = Counter(answer for prediction, answer in pairs if prediction == answer)
    predicted = Counter(prediction for prediction, _ in pairs)
    answers = Counter(answer for _, answer in pairs)
    return math.fsum(2 * right[each] / (predicted[each] + answers[each]) for each in answers) / len(answers)


def _token_f1(pairs: Pairs, _tolerance: float) -> float:
    return math.fsum(_common_words(prediction, answer) for prediction, answer in pairs) / len(pairs)


def _close(pairs: Pairs, tolerance: float) -> float:
    return sum(_is_close(_float(prediction), _float(answer), tolerance) for prediction, answer in pairs) / len(pairs)


def _is_close(prediction: float, answer: float, tolerance: float) -> bool:
    """Whether two numbers are within `tolerance`, as they are written in decimals: 3.2 is within 0.1 of 3.1, although
    the difference of the nearest binary fractions is a little more. Without a tolerance they have to be equal."""
    rounding = sys.float_info.epsilon * (abs(prediction) + abs(answer) + tolerance)
    return prediction == answer or (tolerance > 0 and abs(prediction - answer) <= tolerance + rounding)


def _r2(pairs: Pairs, _tolerance: float) -> float:
    """The coefficient of determination; 0 where it is negative, which is worse than the mean of the answers."""
    answers = [_float(answer) for _, answer in pairs]
    mean = math.fsum(answers) / len(answers)
    scale = max(map(abs, (*answers, *(_float(prediction) for prediction, _ in pairs)))) or 1.0  # squares stay finite
    total = math.fsum(((answer - mean) / scale) ** 2 for answer in answers)
    left = math.fsum(((_float(prediction) - _float(answer)) / scale) ** 2 for prediction, answer in pairs)
    if total == 0:
        return float(left == 0)
    return max(0.0, 1 - left / total)


METRICS: Mapping[str, PredictionMetric] = {
    "accuracy": PredictionMetric(_accuracy, ("choice",), "share of right choices"),
    "acc": PredictionMetric(_accuracy, ("choice",), "the same, by the harness's name"),
    "macro_f1": PredictionMetric(_macro_f1, ("choice",), "mean of the F1 of each choice that is an answer", False),
    "exact_match": PredictionMetric(
        _exact_match, ("text", "choice"), "share of texts that are the answer, without regard to case and spaces"
    ),
    "f1": PredictionMetric(_token_f1, ("text",), "mean F1 of the words of prediction and answer", False),
    "close": PredictionMetric(_close, ("number",), "share of numbers within the suite's `tolerance` of the answer"),
    "r2": PredictionMetric(_r2, ("number",), "coefficient of determination; 0 where it is negative", False),
}
"""Every metric by its name, which comes before the comma of a suite's metric, as in `accuracy,none`."""


def compute(metric: str, pairs: Pairs, tolerance: float) -> float:
    """Return the value of `metric` (`name,filter`) for at least one pair."""
    return METRICS[metric.partition(",")[0]].compute(pairs, tolerance)


def is_mean(metric: str) -> bool:
    """Whether `metric` is the share of right predictions, so that its standard error follows from its value."""
    return METRICS[metric.partition(",")[0]].is_mean


def _plain(value: Value) -> str:
    """Return the text in one case, with single spaces, and with an accented letter as one character."""
    return unicodedata.normalize("NFC", _SPACE.sub(" ", str(value)).strip().casefold())


def _common_words(prediction: Value, answer: Value) -> float:
    mine, right = (Counter(_WORD.findall(_plain(value))) for value in (prediction, answer))
    if not mine or not right:
        return float(mine == right)
    common = (mine & right).total()
    return 2 * common / (mine.total() + right.total())


def _float(value: Value) -> float:
    assert isinstance(value, int | float)
    return float(value)
