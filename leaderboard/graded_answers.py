"""The graded questions of each task, collected from the tables of samples of one evaluation."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from hashlib import blake2b
from typing import Any

import numpy as np
from numpy.typing import NDArray

from leaderboard.influences import Floats
from leaderboard.suites import Benchmark


@dataclass
class TaskAnswers:
    """The graded questions of one task.

    `clusters` and `strata` hold one number for each question. `sums` and `counts` have a row for each question and a
    column for each metric: the sum of the question's grades (0-1), and their number.
    """

    clusters: Sequence[int] | NDArray[np.uint64]
    strata: Sequence[int] | NDArray[np.uint64]
    sums: Sequence[Sequence[float]] | Floats
    counts: Sequence[Sequence[float]] | Floats


@dataclass
class AnswerCollector:
    """Collects the graded questions of one task from the rows of its table of samples, without the `withdrawn` ones."""

    task: str
    benchmark: Benchmark
    withdrawn: Collection[int] = ()
    _grades: dict[int, dict[str, tuple[float, float]]] = field(default_factory=dict)
    _groups: dict[int, tuple[int, int]] = field(default_factory=dict)

    def add(self, row: Mapping[str, Any]) -> None:
        """Add a row with `doc_id`, `doc` and `metrics` as JSON text, and `filter`; a question has a row per filter."""
        question = row["doc_id"]
        if question not in self.withdrawn:
            has_groups = question in self._groups or not (self.benchmark.cluster or self.benchmark.stratum)
            fields = {} if has_groups else _object(row["doc"])
            self.add_graded(question, fields, row["filter"], _object(row["metrics"]))

    def add_graded(
        self, question: int, fields: Mapping[str, Any], filter_name: str, metrics: Mapping[str, object]
    ) -> None:
        """Add the metrics of a question after one filter; `fields` are the question's own."""
        grades = self._grades.setdefault(question, {})
        for metric in self.benchmark.metrics:
            name, _, of_filter = metric.partition(",")
            if of_filter == filter_name and (grade := _grade(metrics.get(name))) is not None:
                grades[metric] = grade
        if question not in self._groups:
            self._groups[question] = self._groups_of(question, fields)

    def _groups_of(self, question: int, fields: Mapping[str, Any]) -> tuple[int, int]:
        """Return cluster and stratum of a question; without a field for its cluster, it is a cluster of its own."""
        benchmark = self.benchmark
        shared, subject = fields.get(benchmark.cluster), fields.get(benchmark.stratum)
        own = (shared,) if isinstance(shared, str | int) else (self.task, question)
        return _number(benchmark.name, *own), _stratum(subject if isinstance(subject, str | int) else "")

    def answers(self) -> TaskAnswers | None:
        """Return the collected questions; None if there are none, or if one lacks a grade."""
        metrics, grades = self.benchmark.metrics, self._grades
        if not grades or any(len(grade) < len(metrics) for grade in grades.values()):
            return None
        return TaskAnswers(
            [self._groups[question][0] for question in grades],
            [self._groups[question][1] for question in grades],
            [[grade[metric][0] for metric in metrics] for grade in grades.values()],
            [[grade[metric][1] for metric in metrics] for grade in grades.values()],
        )


def _grade(value: object) -> tuple[float, float] | None:
    """Return sum and number of a question's grades by one metric; None if they are not all numbers in 0-1."""
    if type(value) is float:  # the common case
        return (value, 1.0) if 0 <= value <= 1 else None
    values = value if isinstance(value, list) else [value]
    if not values or not all(isinstance(each, int | float) and 0 <= each <= 1 for each in values):
        return None
    return float(sum(values)), float(len(values))


def _object(text: str) -> Mapping[str, Any]:
    """Return the JSON object in `text`; an empty one if the text was cut off."""
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}


def _number(*parts: object) -> int:
    """Return a hash of `parts` with 64 bits."""
    return int.from_bytes(blake2b(repr(parts).encode("utf-8", "replace"), digest_size=8).digest(), "little")


@lru_cache(maxsize=1_000, typed=True)
def _stratum(subject: str | int) -> int:
    """Return the number of a subject; cached, because many questions share one."""
    return _number(subject)
