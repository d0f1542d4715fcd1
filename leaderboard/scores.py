"""The scores of a suite's benchmarks, computed from the harness's raw scores: raw → normalised → average."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from leaderboard.suites import Benchmark, Suite, Task

MAX_NAMED = 8
"""Metrics or tasks that a problem lists."""


class BadResults(ValueError):
    """The data is no results file of the suite; the message says why."""


@dataclass(frozen=True)
class TaskScore:
    """The score of one task: `raw` in 0-1, `normalised` in 0-100."""

    name: str
    raw: float
    normalised: float


@dataclass(frozen=True)
class BenchmarkScore:
    """The score of one benchmark: `raw` in 0-1, `normalised` in 0-100 (0: no better than guessing)."""

    name: str
    raw: float
    normalised: float
    tasks: tuple[TaskScore, ...]


@dataclass(frozen=True)
class Scores:
    """The scores of each benchmark in the suite's order, and the mean of the normalised scores."""

    benchmarks: tuple[BenchmarkScore, ...]
    average: float

    @property
    def by_name(self) -> dict[str, float]:
        """The normalised score of each benchmark."""
        return {benchmark.name: benchmark.normalised for benchmark in self.benchmarks}


@dataclass(frozen=True)
class ScoreErrors:
    """Standard errors in points (0-100): of normalised scores by benchmark, and of their average.

    `benchmarks` lacks those whose error is not known; `average` is None if one is missing. `influence` is the
    average's influence vector as text (`leaderboard.influences`), or ""; `benchmark_influences` are the benchmarks'.
    """

    benchmarks: Mapping[str, float] = field(default_factory=dict)
    average: float | None = None
    influence: str = ""
    benchmark_influences: Mapping[str, str] = field(default_factory=dict)


def normalise(raw: float, lower_bound: float) -> float:
    """Scale `raw` (0-1) so that `lower_bound` is 0 and a perfect score is 100; lower scores are 0 too."""
    return 0.0 if raw < lower_bound else (raw - lower_bound) / (1 - lower_bound) * 100


def score(results: Mapping[str, Any], suite: Suite) -> Scores:
    """Compute the scores from the harness's `results` (task → metrics).

    Raises BadResults if a score of the suite is missing or is no number in 0-1.
    """
    benchmarks = tuple(_benchmark(results, benchmark) for benchmark in suite.benchmarks)
    return Scores(benchmarks, math.fsum(b.normalised for b in benchmarks) / len(benchmarks))


def problems(results: Mapping[str, Any], benchmark: Benchmark) -> list[str]:
    """Return every reason for which `score` refuses `results` because of `benchmark`."""
    found = []
    for source in dict.fromkeys((benchmark.source, *(task.name for task in benchmark.tasks))):
        for metric in benchmark.metrics:
            try:
                _raw(results, source, (metric,))
            except BadResults as error:
                entry = results.get(source)
                given = [name for name in entry if name.partition(",")[0] != "alias"] if entry else list(results)
                found.append(f"{error} (there is {', '.join(given[:MAX_NAMED])})")
    return list(dict.fromkeys(found))


def _benchmark(results: Mapping[str, Any], benchmark: Benchmark) -> BenchmarkScore:
    tasks = tuple(_task(results, benchmark, task) for task in benchmark.tasks)
    raw = _raw(results, benchmark.source, benchmark.metrics)
    if benchmark.normalise == "subtasks":
        normalised = math.fsum(task.normalised for task in tasks) / len(tasks)
        if not any(task.choices for task in benchmark.tasks):
            # The score is the tasks' mean, so this is too; the harness's value for a group weighs tasks by their size.
            raw = math.fsum(task.raw for task in tasks) / len(tasks)
    else:
        normalised = normalise(raw, benchmark.lower_bound)
    return BenchmarkScore(benchmark.name, raw, normalised, tasks)


def _task(results: Mapping[str, Any], benchmark: Benchmark, task: Task) -> TaskScore:
    raw = _raw(results, task.name, benchmark.metrics)
    return TaskScore(task.name, raw, normalise(raw, task.lower_bound))


def _raw(results: Mapping[str, Any], source: str, metrics: tuple[str, ...]) -> float:
    """Return the mean of `metrics` in the entry of `source`."""
    entry = results.get(source)
    if not isinstance(entry, Mapping):
        raise BadResults(f"no results of {source}")
    return math.fsum(_number(entry, source, metric) for metric in metrics) / len(metrics)


def _number(entry: Mapping[str, Any], source: str, metric: str) -> float:
    value = entry.get(metric)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise BadResults(f"{source} has no number for {metric}")
    if not 0 <= value <= 1:  # false for NaN, too
        raise BadResults(f"{metric} of {source} is {value}, which is not between 0 and 1")
    return float(value)
