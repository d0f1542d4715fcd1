"""Compares the answers and scores of two evaluations of one model on the same datasets."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from leaderboard.suites import Suite

TOLERANCE, RELATIVE = 1e-4, 1e-6


@dataclass(frozen=True)
class Cost:
    """The costs of one side's evaluation; `requests` counts log-likelihoods and texts."""

    seconds: float
    processor_seconds: float
    requests: int
    peak_mib: int


@dataclass(frozen=True)
class TaskFigures:
    """One task: its score on both sides, and the answers to questions that both sides answered.

    `differing` counts questions whose best answers, or whose texts, differ.
    """

    name: str
    metric: str
    score: float
    command_score: float | None
    questions: int
    requests: int
    compared: int
    differing: int
    max_difference: float | None
    agrees: bool


@dataclass(frozen=True)
class Answer:
    """The responses to one question: a log-likelihood for each choice, with its length, or one text."""

    values: tuple[float, ...] = ()
    lengths: tuple[int, ...] = ()
    text: str = ""

    def best(self) -> tuple[int, int]:
        """The best choices by log-likelihood and by log-likelihood in relation to its length."""
        by_length = [value / max(1, length) for value, length in zip(self.values, self.lengths, strict=True)]
        return self.values.index(max(self.values)), by_length.index(max(by_length))


Answers = dict[int, Answer]


@dataclass(frozen=True)
class SideResult:
    """The harness's results (task → metrics), the answers to the questions of each task, and the cost."""

    results: dict[str, dict[str, Any]]
    answers: dict[str, Answers]
    cost: Cost
    engine: dict[str, Any]


def count_requests(answers: dict[str, Answers]) -> int:
    """The number of log-likelihoods and texts."""
    return sum(max(1, len(answer.values)) for of_task in answers.values() for answer in of_task.values())


def compare(suite: Suite, ours: SideResult, theirs: SideResult | None, *, whole: bool) -> list[TaskFigures]:
    """Compare each task; `whole`: both sides answered all questions."""
    return [
        compare_task(task.name, benchmark.metrics[0], ours, theirs, whole=whole)
        for benchmark in suite.benchmarks
        for task in benchmark.tasks
    ]


def compare_task(task: str, metric: str, ours: SideResult, theirs: SideResult | None, *, whole: bool) -> TaskFigures:
    """Compare one task."""
    published, computed = ours.answers[task], theirs.answers[task] if theirs else {}
    pairs = [(published[number], answer) for number, answer in computed.items()]
    by_value = any(answer.values for answer in published.values())
    differences = [
        (abs(own - other), abs(other))
        for mine, their in pairs
        for own, other in zip(mine.values, their.values, strict=True)
    ]
    if by_value:
        differing = sum(mine.best() != their.best() for mine, their in pairs)
    else:
        differing = sum(mine.text != their.text for mine, their in pairs)
    close = all(difference <= max(TOLERANCE, RELATIVE * size) for difference, size in differences)
    score = ours.results[task][metric]
    command_score = theirs.results[task][metric] if theirs and whole else None
    same = command_score is None or abs(score - command_score) < TOLERANCE
    return TaskFigures(
        name=task,
        metric=metric,
        score=score,
        command_score=command_score,
        questions=len(published),
        requests=count_requests({task: published}),
        compared=len(pairs),
        differing=differing,
        max_difference=max((difference for difference, _ in differences), default=None),
        agrees=not by_value or (close and same and not differing),
    )
