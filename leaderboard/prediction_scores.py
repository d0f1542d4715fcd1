"""Scores of predictions: the board's answers, the public and the private part, and the harness-like results of each."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from leaderboard.prediction_checks import Unusable, as_id, as_prediction
from leaderboard.prediction_metrics import Value, compute, is_mean
from leaderboard.predictions import PRIVATE, PUBLIC, PredictionRules
from leaderboard.scores import ScoreErrors, Scores, score
from leaderboard.suites import Benchmark, Suite

Part = Literal["public", "private"]


class BadAnswers(ValueError):
    """The board's file of answers cannot be used. The message counts problems and never quotes the file."""


@dataclass(frozen=True)
class RightAnswer:
    """The answer to one question. Its `repr` omits part and value, so that no traceback or log shows them."""

    task: str
    part: Part = field(repr=False)
    value: Value = field(repr=False)


@dataclass(frozen=True)
class AnswerKey:
    """The board's answers by question's id."""

    by_id: Mapping[str, RightAnswer] = field(repr=False)


Cell = Value | Unusable
AnswerCells = tuple[Cell, Cell, Cell, Cell]
"""Id, answer, part and task of one row; the task counts only if the rules name its field."""


def answer_key(rows: Sequence[AnswerCells], suite: Suite, rules: PredictionRules) -> AnswerKey:
    """Return the answers in the `rows` of the board's file. Raises BadAnswers."""
    by_id: dict[str, RightAnswer] = {}
    wrong, doubled = 0, 0
    for identifier, cell, part, named_task in rows:
        question, value = as_id(identifier), as_prediction(cell, rules)
        task = named_task if rules.task else suite.tasks[0]
        if question is None or value is None or part not in (PUBLIC, PRIVATE) or task not in suite.tasks:
            wrong += 1
            continue
        assert isinstance(task, str)
        doubled += question in by_id
        by_id[question] = RightAnswer(task, "public" if part == PUBLIC else "private", value)
    if wrong or doubled:
        raise BadAnswers(
            f"{wrong} rows have no usable id, answer, part or task, and {doubled} repeat the id of another row"
        )
    present = {(answer.task, answer.part) for answer in by_id.values()}
    wanted = dict.fromkeys((task, part) for task in suite.tasks for part in (PUBLIC, PRIVATE))
    if missing := [f"{part} question of {task}" for task, part in wanted if (task, part) not in present]:
        raise BadAnswers(f"it has no {', no '.join(missing)}")
    return AnswerKey(by_id)


def part_results(
    predictions: Mapping[str, Value], key: AnswerKey, suite: Suite, rules: PredictionRules, part: Part
) -> dict[str, dict[str, float]]:
    """Return the results of one part as the harness writes them: task or group → metric → value, each rounded."""
    results: dict[str, dict[str, float]] = {}
    for benchmark in suite.benchmarks:
        sources: dict[str, tuple[str, ...]] = {task.name: (task.name,) for task in benchmark.tasks}
        sources.setdefault(benchmark.source, tuple(sources))
        for source, tasks in sources.items():
            pairs = [
                (predictions[question], answer.value)
                for question, answer in key.by_id.items()
                if answer.part == part and answer.task in tasks
            ]
            values = {metric: compute(metric, pairs, rules.tolerance) for metric in benchmark.metrics}
            results.setdefault(source, {}).update({name: _rounded(v, rules.rounding) for name, v in values.items()})
    return results


def _rounded(value: float, step: float) -> float:
    """Return `value` (0-1) rounded to the nearest multiple of `step`, without the noise of binary fractions."""
    return min(1.0, max(0.0, round(round(value / step) * step, 9)))


def part_scores(
    predictions: Mapping[str, Value], key: AnswerKey, suite: Suite, rules: PredictionRules, part: Part
) -> Scores:
    """Return the scores of one part."""
    return score(part_results(predictions, key, suite, rules, part), suite)


def public_errors(scores: Scores, key: AnswerKey, suite: Suite) -> ScoreErrors:
    """Return the standard errors of public scores, from the rounded scores alone, so that they reveal nothing more.

    That is the error of a share, for a benchmark with one task and one metric that is a share.
    """
    errors = dict(_errors(scores, key, suite))
    if not errors or len(errors) < len(suite.benchmarks):
        return ScoreErrors(errors)
    return ScoreErrors(errors, math.hypot(*errors.values()) / len(suite.benchmarks))


def _errors(scores: Scores, key: AnswerKey, suite: Suite) -> Iterator[tuple[str, float]]:
    for benchmark, scored in zip(suite.benchmarks, scores.benchmarks, strict=True):
        if len(benchmark.tasks) > 1 or len(benchmark.metrics) > 1 or not is_mean(benchmark.metrics[0]):
            continue
        count = sum(answer.part == PUBLIC and answer.task == benchmark.tasks[0].name for answer in key.by_id.values())
        error = math.sqrt(scored.raw * (1 - scored.raw) / count) / (1 - _lower_bound(benchmark)) * 100
        if 0 < error <= 100 and scored.normalised > 0:
            yield benchmark.name, error


def _lower_bound(benchmark: Benchmark) -> float:
    return benchmark.tasks[0].lower_bound if benchmark.normalise == "subtasks" else benchmark.lower_bound
