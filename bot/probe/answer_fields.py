"""Code in the fork: turn rows of tables of answers into questions with answers, for pages, and cut long texts. The
fields are those of `bot.read_models.details_models`."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from typing import Any, TypedDict

from leaderboard.jsontext import storable

MAX_QUESTION, MAX_PROMPT, MAX_ANSWER, MAX_TARGET, MAX_CHOICE = 2_000, 4_000, 3_000, 500, 300
"""The largest number of characters of each text."""
MAX_CHOICES = 20
CUT = " … [cut] … "
FIELDS = ("question", "input", "problem", "prompt", "query", "ctx", "text")
"""Fields that may hold the text of a question; the first one that is not empty counts."""


class AnswerFields(TypedDict, total=False):
    """The answer of one evaluation to one question."""

    text: str
    likelihoods: list[float | None]
    chosen: int | None
    score: float | None
    right: bool | None


class QuestionFields(TypedDict):
    """One question with its answers."""

    id: int
    question: str
    prompt: str
    choices: list[str]
    target: str
    target_choice: int | None
    answers: list[AnswerFields]


def question_fields(rows: Sequence[Mapping[str, Any]]) -> QuestionFields:
    """One question with an answer for each of `rows`, which are of the same question."""
    first = rows[0]
    choices = choices_of(first)
    target = str(first["target"] or "")
    right_choice = _place_of(target, choices)
    return QuestionFields(
        id=int(first["doc_id"]),
        question=_cut(_question(first["doc"]), MAX_QUESTION),
        prompt=_ending(str(first["prompt"] or ""), MAX_PROMPT),
        choices=[_cut(choice, MAX_CHOICE) for choice in choices[:MAX_CHOICES]],
        target=_cut(target, MAX_TARGET),
        target_choice=_shown(right_choice),
        answers=[_answer(row, choices, right_choice) for row in rows],
    )


def is_right(score: float | None) -> bool | None:
    """Whether an answer with this score, the mean of its metrics, is right by all of them. None without a score."""
    return score >= 1 if score is not None else None


def score_of(value: object) -> float | None:
    """The score in a table, if it is a number."""
    return float(value) if isinstance(value, int | float) and math.isfinite(value) else None


def choices_of(row: Mapping[str, Any]) -> list[str]:
    """The texts among which the model chose; empty if it generated its answer."""
    continuations = _parsed(row["continuations"])
    texts = [text for text in continuations if isinstance(text, str)] if isinstance(continuations, list) else []
    return texts if len(texts) > 1 and len(texts) == len(continuations) else []


def _answer(row: Mapping[str, Any], choices: list[str], right_choice: int | None) -> AnswerFields:
    score = score_of(row["score"])
    right = is_right(score)
    likelihoods = _likelihoods(row["answers"]) if choices else []
    if not choices or len(likelihoods) != len(choices):
        return AnswerFields(text=_cut(_generated(row), MAX_ANSWER), score=score, right=right)
    chosen = _chosen(likelihoods, choices, right, right_choice, by_length="acc_norm" in _mapping(row["metrics"]))
    return AnswerFields(
        likelihoods=[each if math.isfinite(each) else None for each in likelihoods[:MAX_CHOICES]],
        chosen=_shown(chosen),
        score=score,
        right=right,
    )


def _chosen(
    likelihoods: list[float], choices: list[str], right: bool | None, right_choice: int | None, *, by_length: bool
) -> int | None:
    """The model's choice: the right one if its score says so, else the most likely other one; with `by_length`, by the
    log-likelihood per character, as the metric `acc_norm`."""
    if right and right_choice is not None:
        return right_choice
    others = [at for at in range(len(choices)) if right is None or at != right_choice]
    lengths = [max(1, len(choice.strip())) if by_length else 1 for choice in choices]
    return max(others, key=lambda at: likelihoods[at] / lengths[at], default=None)


def _likelihoods(text: object) -> list[float]:
    """The log-likelihood of each choice, which the harness may write as text; -inf for anything else."""
    answers = _parsed(text)
    pairs = answers if isinstance(answers, list) else []
    return [_number(pair[0]) for pair in pairs if isinstance(pair, list) and pair]


def _number(value: Any) -> float:
    try:
        number = float(value)
    except (TypeError, ValueError, OverflowError):
        return -math.inf
    return -math.inf if math.isnan(number) else number


def _generated(row: Mapping[str, Any]) -> str:
    """The text that the model generated, unchanged; if the column has another value, that value as text."""
    value = _parsed(row["responses"])
    while isinstance(value, list) and len(value) == 1:
        value = value[0]
    if isinstance(value, str):
        return value
    return str(row["responses"] or "") if value is None else json.dumps(value, ensure_ascii=False)


def _question(doc: object) -> str:
    fields = _mapping(doc)
    return next((text for name in FIELDS if isinstance(text := fields.get(name), str) and text.strip()), "")


def _place_of(target: str, choices: list[str]) -> int | None:
    """The place of the right choice: the harness names it by its text or by its number."""
    texts = [choice.strip() for choice in choices]
    if target.strip() in texts:
        return texts.index(target.strip())
    is_number = target.isascii() and target.isdecimal() and len(target) < 4
    return int(target) if is_number and int(target) < len(choices) else None


def _shown(place: int | None) -> int | None:
    return place if place is not None and place < MAX_CHOICES else None


def _parsed(text: object) -> Any:
    """The value in a column of JSON text; None where the text was cut off and is no JSON any more."""
    try:
        return json.loads(str(text))
    except (ValueError, RecursionError):
        return None


def _mapping(text: object) -> Mapping[str, Any]:
    value = _parsed(text)
    return value if isinstance(value, dict) else {}


def _cut(text: str, limit: int) -> str:
    """The beginning of a text, without characters that cannot be encoded."""
    return storable(text if len(text) <= limit else text[:limit] + CUT.rstrip())


def _ending(text: str, limit: int) -> str:
    """The end of a text: a prompt ends with its question."""
    return storable(text if len(text) <= limit else CUT.lstrip() + text[-limit:])
