"""Standard errors of one evaluation, computed from its samples without the product's code: sums, loops, an integral."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from typing import Any

from leaderboard.suites import Benchmark

Z = 1.959963984540054
Deviations = Mapping[str, float]


def direct_error(benchmark: Benchmark, rows: Mapping[str, Sequence[Mapping[str, Any]]]) -> float:
    """The standard error, in points, of the normalised score; `rows` are each task's rows of its table of samples."""
    graded = {task.name: grades(benchmark, task.name, rows[task.name]) for task in benchmark.tasks}
    every = [deviations(part) for part in graded.values()]
    if benchmark.normalise == "whole":
        sizes = [len(part) for part in graded.values()]
        shares = [size / sum(sizes) for size in sizes]
        total = added(every, shares)
        raw = sum(share * mean(part) for share, part in zip(shares, graded.values(), strict=True))
        return points(raw, error_of(raw, total, len(total), alone=True), benchmark.choices)[0]
    errors, scaled = [], []
    for task, part, own in zip(benchmark.tasks, graded.values(), every, strict=True):
        error, slope = points(mean(part), error_of(mean(part), own, len(own), alone=len(every) == 1), task.choices)
        errors.append(error)
        scaled.append({cluster: slope * value for cluster, value in own.items()})
    count = len(errors)
    alone = sum(error**2 - length(own) ** 2 for error, own in zip(errors, scaled, strict=True))
    return math.sqrt(length(added(scaled, [1.0] * count)) ** 2 + alone) / count


def grades(benchmark: Benchmark, task: str, rows: Sequence[Mapping[str, Any]]) -> list[tuple[str, list[list[float]]]]:
    """Return for each question its cluster, and its grades by each metric."""
    (filter_name,) = {metric.partition(",")[2] for metric in benchmark.metrics}
    graded = []
    for row in rows:
        if row["filter"] == filter_name:
            doc, metrics = json.loads(row["doc"]), json.loads(row["metrics"])
            values = [metrics[metric.partition(",")[0]] for metric in benchmark.metrics]
            cluster = doc[benchmark.cluster] if benchmark.cluster else f"{task} {row['doc_id']}"
            graded.append((cluster, [value if isinstance(value, list) else [value] for value in values]))
    return graded


def mean(graded: Sequence[tuple[str, list[list[float]]]]) -> float:
    """The mean over metrics of the mean over grades."""
    metrics = range(len(graded[0][1]))
    every = [[grade for _, values in graded for grade in values[number]] for number in metrics]
    return sum(sum(each) / len(each) for each in every) / len(every)


def deviations(graded: Sequence[tuple[str, list[list[float]]]]) -> dict[str, float]:
    """Return how far each cluster moves the mean."""
    metrics = range(len(graded[0][1]))
    totals = dict.fromkeys((cluster for cluster, _ in graded), 0.0)
    for number in metrics:
        every = [grade for _, values in graded for grade in values[number]]
        for cluster, values in graded:
            away = sum(grade - sum(every) / len(every) for grade in values[number])
            totals[cluster] += away / len(every) / len(metrics)
    factor = math.sqrt(len(totals) / (len(totals) - 1)) if len(totals) > 1 else 1.0
    return {cluster: factor * total for cluster, total in totals.items()}


def added(parts: Sequence[Deviations], weights: Sequence[float]) -> dict[str, float]:
    """Return the weighted sum, cluster by cluster."""
    total: dict[str, float] = {}
    for part, weight in zip(parts, weights, strict=True):
        for cluster, value in part.items():
            total[cluster] = total.get(cluster, 0.0) + weight * value
    return total


def length(values: Deviations) -> float:
    """Return the root of the sum of squares."""
    return math.sqrt(sum(value**2 for value in values.values()))


def error_of(raw: float, own: Deviations, clusters: int, *, alone: bool) -> float:
    """The standard error of a raw score; with fewer than ten right or wrong answers by Wilson's interval.

    For a score `alone` it reaches the interval's farther end; for a part of a mean it is half the interval's width.
    """
    plain = length(own)
    size = raw * (1 - raw) / plain**2 if plain > 1e-7 else clusters
    if plain > 1e-7 and size * min(raw, 1 - raw) >= 10:
        return plain
    # The ends of Wilson's interval solve (raw - p)² = Z² p (1 - p) / size.
    a, b, c = 1 + Z**2 / size, -2 * raw - Z**2 / size, raw**2
    root = math.sqrt(max(0.0, b * b - 4 * a * c))
    ends = ((-b - root) / (2 * a), (-b + root) / (2 * a))
    return max(plain, *(abs(raw - end) / Z for end in ends)) if alone else max(plain, (ends[1] - ends[0]) / 2 / Z)


def points(raw: float, error: float, choices: int | None) -> tuple[float, float]:
    """The error of the normalised score in points, and its slope: the integral of max(0, x), x normal around it."""
    bound = 1 / choices if choices else 0.0
    score, spread = max(0.0, raw - bound) / (1 - bound) * 100, error / (1 - bound) * 100
    if not bound:
        return spread, 100.0
    steps = 20_000
    nodes = [-9 + 18 * (step + 0.5) / steps for step in range(steps)]
    weights = [math.exp(-node * node / 2) / math.sqrt(2 * math.pi) * 18 / steps for node in nodes]
    values = [max(0.0, score + spread * node) for node in nodes]
    centre = sum(weight * value for weight, value in zip(weights, values, strict=True))
    variance = sum(weight * (value - centre) ** 2 for weight, value in zip(weights, values, strict=True))
    above = sum(weight for weight, value in zip(weights, values, strict=True) if value > 0)
    return math.sqrt(variance), above * 100 / (1 - bound)
