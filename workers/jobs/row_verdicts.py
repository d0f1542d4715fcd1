"""Verdicts of a cross-check about the published answers to single questions."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from typing import Any

from leaderboard.cross_checks import CheckedQuestion, QuestionVerdict
from workers.common.run_plan import ClaimedAnswer
from workers.jobs.sample_comparison import Sample

EQUAL_COLUMNS = ("doc", "prompt", "continuations", "target", "responses", "answers", "filter")
"""The columns of a published row and of this worker's that must be equal letter for letter.

`responses` and `answers` are equal because the harness of this worker scores the claimed answers.
"""
NO_ROW = "the published table has no such question"
NOT_SEEN = "answers of this kind are not computed again"
OTHER_ROW = "its {column} is another one"
OTHER_METRICS = "its metrics are not those of its answer"


def claimed_answers(question: CheckedQuestion, rows: Sequence[Sample]) -> ClaimedAnswer:
    """The answers that the published rows of a question claim; none if their text was cut, or does not hold answers."""
    try:
        responses = json.loads(rows[0]["responses"])
        answers = tuple(_answer(response) for each in responses for response in each)
    except (ValueError, TypeError, KeyError, IndexError, AttributeError, RecursionError, OverflowError):
        answers = ()
    return ClaimedAnswer(task=question.task, number=question.number, answers=answers)


def _answer(response: Any) -> tuple[float, bool] | str:
    """A log-likelihood and whether the answer is the most likely text, or a text."""
    if isinstance(response, str):
        return response
    score, greedy = response
    if greedy not in ("True", "False") or not math.isfinite(float(score)):
        raise ValueError(response)
    return float(score), greedy == "True"


def question_verdict(question: CheckedQuestion, verdict: str, reason: str) -> QuestionVerdict:
    """The verdict about one question as a record, with at most 500 characters of its reason."""
    return QuestionVerdict.model_validate(
        {"task": question.task, "number": question.number, "verdict": verdict, "reason": reason[:500]}
    )


def row_verdict(
    published: Sequence[Sample], compared: tuple[str, str] | None, here: Sequence[Sample]
) -> tuple[str, str]:
    """Verdict and reason for a question: from its published rows, the child's verdict on it, and the child's rows."""
    if not published:
        return "differs", NO_ROW
    if compared is None:
        return "not-compared", NOT_SEEN
    if compared[0] != "agrees":
        return compared
    own = {row["filter"]: row for row in here}
    for row in published:
        other = own.get(row["filter"])
        column = "filter" if other is None else next((name for name in EQUAL_COLUMNS if row[name] != other[name]), "")
        if column:
            return "differs", OTHER_ROW.format(column=column)
        if other is not None and not _metrics_agree(row, other):
            return "differs", OTHER_METRICS
    return "agrees", ""


def _metrics_agree(published: Mapping[str, Any], here: Mapping[str, Any]) -> bool:
    """Whether published metrics are those of the answer. Smaller ones agree, because a worker gains nothing by them.

    Some metrics give up after some time, and more often on a busy machine.
    """
    if published["metrics"] == here["metrics"]:
        return True
    try:
        then, now = json.loads(published["metrics"]), json.loads(here["metrics"])
        if not isinstance(then, dict) or not isinstance(now, dict) or then.keys() != now.keys():
            return False
        return all(_at_most(then[name], now[name]) for name in now)
    except (ValueError, RecursionError):
        return False


def _at_most(claimed: Any, here: Any) -> bool:
    if claimed == here:
        return True
    numbers = all(isinstance(value, bool | int | float) for value in (claimed, here))
    return numbers and claimed <= here
