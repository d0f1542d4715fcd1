"""Verdicts of a cross-check about the published answers to single questions."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping, Sequence
from typing import Any

from leaderboard.cross_checks import CheckedQuestion, QuestionVerdict
from leaderboard.suites import Suite
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
SMALLER_METRICS = "a metric is smaller than its answer gives, as after a time limit"
ONE_SMALLER_OF = 8
"""Of so many questions one may have smaller metrics; of fewer, one, too."""
_TASKS_WITH_TIME_LIMIT = re.compile(r"(?:^|_)(?:math|putnam_axiom|cruxeval|jsonschema_bench)(?:_|\d|$)")
"""Names of tasks of the harness whose metrics count an answer as wrong if computing them takes some seconds."""


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


def has_time_limit(claim: ClaimedAnswer, suite: Suite) -> bool:
    """Whether the metrics of a claimed answer may be smaller on a busy machine, and are the harness's own."""
    texts = bool(claim.answers) and all(isinstance(answer, str) for answer in claim.answers)
    return texts and not suite.own and _TASKS_WITH_TIME_LIMIT.search(claim.task) is not None


def question_verdict(question: CheckedQuestion, verdict: str, reason: str) -> QuestionVerdict:
    """The verdict about one question as a record, with at most 500 characters of its reason."""
    return QuestionVerdict.model_validate(
        {"task": question.task, "number": question.number, "verdict": verdict, "reason": reason[:500]}
    )


def row_verdict(
    published: Sequence[Sample],
    compared: tuple[str, str] | None,
    here: Sequence[Sample],
    *,
    may_be_smaller: bool = False,
) -> tuple[str, str]:
    """Verdict and reason for a question: from its published rows, the child's verdict on it, and the child's rows.

    If its metrics `may_be_smaller`, smaller ones agree, with the reason SMALLER_METRICS.
    """
    if not published:
        return "differs", NO_ROW
    if compared is None:
        return "not-compared", NOT_SEEN
    if compared[0] != "agrees":
        return compared
    own, reason = {row["filter"]: row for row in here}, ""
    for row in published:
        other = own.get(row["filter"])
        column = "filter" if other is None else next((name for name in EQUAL_COLUMNS if row[name] != other[name]), "")
        if column:
            return "differs", OTHER_ROW.format(column=column)
        if other is not None and row["metrics"] != other["metrics"]:
            if not (may_be_smaller and _metrics_are_smaller(row, other)):
                return "differs", OTHER_METRICS
            reason = SMALLER_METRICS
    return "agrees", reason


def limit_smaller_metrics(verdicts: Sequence[QuestionVerdict]) -> tuple[QuestionVerdict, ...]:
    """The verdicts; if metrics of more than one of eight questions are smaller, all of these questions differ.

    A worker that makes all metrics of another's model smaller would otherwise be confirmed.
    """
    smaller = [verdict for verdict in verdicts if verdict.reason == SMALLER_METRICS]
    if len(smaller) <= max(1, len(verdicts) // ONE_SMALLER_OF):
        return tuple(verdicts)
    return tuple(
        question_verdict(verdict.question, "differs", OTHER_METRICS) if verdict in smaller else verdict
        for verdict in verdicts
    )


def _metrics_are_smaller(published: Mapping[str, Any], here: Mapping[str, Any]) -> bool:
    """Whether each published metric is at most that of the answer."""
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
