"""Compares metrics that the bot computed again from a worker's stored answers with those that the worker published."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from leaderboard.sample_checks import refuse_differences
from leaderboard.suites import Suite

BELOW = 0.05
"""The share of a task's generated answers on which a worker's metrics may have run out of time."""


@dataclass(frozen=True)
class MetricComparison:
    """The samples of one task, compared with metrics that were computed again from their answers.

    In `above` of them the worker's value is the larger one, in `below` the smaller one; `first` is the number of the
    first question that differs, -1 without one. `error` says what is wrong with the table.
    """

    compared: int = 0
    above: int = 0
    below: int = 0
    first: int = -1
    error: str = ""


def check_recomputed(tasks: Mapping[str, MetricComparison], suite: Suite) -> list[str]:
    """Compare metrics that were computed again with those that a worker published. Raises SamplesDiffer.

    Some metrics of generated texts count an answer as wrong if computing them takes too many seconds, which happens
    more often on a busy machine. So the share BELOW of a task's published values may be smaller than the computed ones;
    the returned sentences name these tasks.
    """
    differences, notes = list[str](), list[str]()
    for task, comparison in tasks.items():
        benchmark, count = suite.benchmark_of(task), comparison.above + comparison.below
        allowed = max(1.0, BELOW * comparison.compared) if benchmark is not None and benchmark.generative else 0.0
        words = f"{count:,} of {comparison.compared:,} samples of {task} have other metrics than their answers give"
        if comparison.error or not comparison.compared:
            differences.append(
                f"the metrics of {task} cannot be compared: its table {comparison.error or 'has no samples'}"
            )
        elif comparison.above or comparison.below > allowed:
            differences.append(f"{words}, as question {comparison.first}")
        elif comparison.below:
            notes.append(f"{words}: smaller ones, as of metrics that give up after some time")
    refuse_differences(differences)
    return notes
