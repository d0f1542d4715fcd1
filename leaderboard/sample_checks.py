"""Whether a worker's scores follow from its published samples: a table per task, one row per question and filter.

The bot compares them before it publishes results. It checks

- the number of samples of each task: the one that the results name, each question once for each filter
- each metric of the suite: the harness's value is the mean of the samples' values. A sample with several values
  (IFEval's instructions) counts once for each. Questions that the suite withdraws do not count
- the value of a group of tasks: the mean of its tasks' values, weighted by the number of samples or not
- the column `score`: the mean of the row's metrics, which pages show as right or wrong.

A metric with another aggregation than the mean, by the results' own `configs`, or with an unknown one, is named as not
checked if its value is not the mean; so is a metric that the suite lets another evaluator than lm-eval report, and a
task whose table the bot may not read.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from leaderboard.cross_checks import CrossCheckRecord
from leaderboard.suites import Benchmark, Suite

TOLERANCE = 1e-6
"""Difference between a value and the mean of its samples that is rounding: some metrics compute with 32 bits."""
MEAN = "mean"
MEANS = frozenset({"acc", "acc_norm", "acc_mutual_info", "acc_bytes", "exact_match", "likelihood"})
"""Metrics of the harness whose aggregation is the mean where a task does not name another one."""
FLAT_MEANS = ("agg_inst_level_acc",)
"""Functions that tasks name as an aggregation, and which take the mean of all values of all samples."""
MAX_NAMED = 5
MAX_UNCHECKED = 200


class SamplesDiffer(ValueError):
    """The results do not follow from the published samples; the message names the first differences."""


@dataclass(frozen=True)
class MetricSum:
    """The values of one metric in the samples of a task: their sum and number, and the samples without a number."""

    total: float = 0.0
    count: int = 0
    without: int = 0


@dataclass(frozen=True)
class SampleTotals:
    """The totals of a table of samples. `questions` counts different questions by filter, `rows` all rows.

    `metrics` are the suite's (`acc_norm,none`), without withdrawn questions. `scores_differ` counts rows whose column
    `score` is not the mean of the row's metrics.
    """

    rows: int
    questions: Mapping[str, int] = field(default_factory=dict)
    metrics: Mapping[str, MetricSum] = field(default_factory=dict)
    scores_differ: int = 0


@dataclass(frozen=True)
class UnreadableSamples:
    """A table of samples that the bot may not or cannot read; `reason` is a part of a sentence."""

    reason: str


class CheckedSamples(BaseModel):
    """The bot's comparison of results with their samples before it published them."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    samples: int = Field(ge=0, description="number of published samples from which the values were computed again")
    unchecked: tuple[str, ...] = Field(
        default=(), max_length=MAX_UNCHECKED, description="values that were not compared, each with the reason"
    )
    recomputed: int = Field(
        default=0, ge=0, description="number of samples whose metrics were computed again from the stored answers"
    )
    not_recomputed: str = Field(default="", max_length=500, description="why none were, if so")
    again: CrossCheckRecord | None = Field(
        default=None,
        exclude_if=lambda record: record is None,  # files of boards without other people's workers stay as they were
        description="answers that a worker of another account computed again; absent for the operator's own workers",
    )


def check_samples(
    results: Mapping[str, Any],
    suite: Suite,
    asked: Mapping[str, int],
    tables: Mapping[str, SampleTotals | UnreadableSamples],
) -> CheckedSamples:
    """Compare a results file of `suite` with its samples.

    `asked` is the number of questions of each task by the results' digests; empty without digests. Raises
    SamplesDiffer.
    """
    differences, unchecked, samples = list[str](), list[str](), 0
    for benchmark in suite.benchmarks:
        for task in suite_tasks(benchmark):
            table = tables[task]
            if isinstance(table, UnreadableSamples):
                unchecked.append(f"{task}: {table.reason}")
                continue
            samples += table.rows
            differences += _count_differences(results, benchmark, task, asked.get(task), table)
            for metric in benchmark.metrics:
                must_be_mean = _must_be_mean(results, suite, task, metric)
                finding = _compare_metric(results, task, metric, table, must_be_mean=must_be_mean)
                _sort_in(finding, differences, unchecked)
        if benchmark.source not in suite_tasks(benchmark):
            for metric in benchmark.metrics:
                _sort_in(_compare_group(results, benchmark, metric, tables), differences, unchecked)
    refuse_differences(differences)
    return CheckedSamples(samples=samples, unchecked=tuple(unchecked[:MAX_UNCHECKED]))


def question_counts(results: Mapping[str, Any], suite: Suite, asked: Mapping[str, int]) -> dict[str, int]:
    """Return the number of questions of each task, by the digests or by the results; tasks without one are left out."""
    counts = {task: asked.get(task, _named_count(results, task)) for task in suite.tasks}
    return {task: count for task, count in counts.items() if count}


def suite_tasks(benchmark: Benchmark) -> tuple[str, ...]:
    """The names of the tasks of `benchmark`."""
    return tuple(task.name for task in benchmark.tasks)


def refuse_differences(differences: Sequence[str]) -> None:
    """Raise SamplesDiffer if there are differences, with the first ones."""
    if differences:
        more = len(differences) - MAX_NAMED
        raise SamplesDiffer("; ".join(differences[:MAX_NAMED]) + (f"; and {more} more" if more > 0 else ""))


@dataclass(frozen=True)
class _Finding:
    text: str
    is_difference: bool


def _sort_in(finding: _Finding | None, differences: list[str], unchecked: list[str]) -> None:
    if finding is not None:
        (differences if finding.is_difference else unchecked).append(finding.text)


# --- numbers of samples


def _count_differences(
    results: Mapping[str, Any], benchmark: Benchmark, task: str, asked: int | None, table: SampleTotals
) -> Iterator[str]:
    """The differences between the numbers that the results name and those of the table."""
    filters = dict.fromkeys(metric.partition(",")[2] for metric in benchmark.metrics)
    counts = {name: table.questions.get(name, 0) for name in filters}
    for name, count in counts.items():
        if not count:
            yield f"{task} has no samples of the filter {name}"
        for expected, source in ((_named_count(results, task), "the results"), (asked, "the digests")):
            if count and expected is not None and expected != count:
                yield f"{task} has {count:,} samples, and {expected:,} by {source}"
    if (doubled := table.rows - sum(table.questions.values())) > 0:
        yield f"{task} has {doubled:,} samples of questions that it has already"
    if table.scores_differ:
        yield f"{table.scores_differ:,} samples of {task} have another score than their metrics give"


def _named_count(results: Mapping[str, Any], task: str) -> int | None:
    """The number of questions of `task` by the results (`n-samples`): all of them, also where fewer were asked."""
    counts = results.get("n-samples")
    of_task = counts.get(task) if isinstance(counts, Mapping) else None
    original = of_task.get("original") if isinstance(of_task, Mapping) else None
    return original if isinstance(original, int) and not isinstance(original, bool) else None


# --- values


def _compare_metric(
    results: Mapping[str, Any], task: str, metric: str, table: SampleTotals, *, must_be_mean: bool
) -> _Finding | None:
    """Return what is wrong with the value of `metric`, or why it was not compared; None if it is the samples' mean."""
    values, claimed = table.metrics.get(metric, MetricSum()), _value(results, task, metric)
    mean = values.total / values.count if values.count and not values.without else None
    if mean is not None and _same(mean, claimed):
        return None
    if not must_be_mean:
        return _Finding(f"{task}: {metric}: its aggregation is not known to be the mean", is_difference=False)
    if mean is None:
        return _Finding(f"{task} has {values.without:,} samples without a number for {metric}", is_difference=True)
    return _Finding(f"{metric} of {task} is {claimed:.6f}, and the samples give {mean:.6f}", is_difference=True)


def _must_be_mean(results: Mapping[str, Any], suite: Suite, task: str, metric: str) -> bool:
    """Whether `metric` is the mean of the samples' values, as far as suite and results say."""
    if suite.evaluator is not None:
        return metric not in suite.evaluator.reported
    name = metric.partition(",")[0]
    aggregation = _aggregation(results, task, name)
    if not aggregation:
        return name in MEANS
    return aggregation == MEAN or any(function in aggregation for function in FLAT_MEANS)


def _compare_group(
    results: Mapping[str, Any],
    benchmark: Benchmark,
    metric: str,
    tables: Mapping[str, SampleTotals | UnreadableSamples],
) -> _Finding | None:
    """Like `_compare_metric`, for the value of the group of tasks that is the source of `benchmark`."""
    tasks, source = suite_tasks(benchmark), benchmark.source
    sums = [table.metrics.get(metric) for task in tasks if isinstance(table := tables[task], SampleTotals)]
    counted = [each for each in sums if each is not None and each.count and not each.without]
    if len(counted) < len(tasks):
        return _Finding(f"{source}: {metric}: not all of its tasks could be compared", is_difference=False)
    if not set(_subtasks(results, source)) <= set(tasks):
        return _Finding(f"{source}: {metric}: it has tasks that are not the suite's", is_difference=False)
    claimed, values = _value(results, source, metric), [_value(results, task, metric) for task in tasks]
    questions = [_questions(tables[task], metric) for task in tasks]
    plain, weighted = math.fsum(values) / len(values), _weighted(values, questions)
    means = (plain, weighted, _weighted(values, [each.count for each in counted]))
    if any(_same(mean, claimed) for mean in means):
        return None
    return _Finding(f"{metric} of {source} is {claimed:.6f}, and its tasks give {weighted:.6f}", is_difference=True)


def _weighted(values: Sequence[float], weights: Sequence[int]) -> float:
    return math.fsum(value * weight for value, weight in zip(values, weights, strict=True)) / max(1, sum(weights))


def _questions(table: SampleTotals | UnreadableSamples, metric: str) -> int:
    return table.questions.get(metric.partition(",")[2], 0) if isinstance(table, SampleTotals) else 0


def _subtasks(results: Mapping[str, Any], source: str) -> list[str]:
    """The tasks of the group `source` by the results; groups in it count as their tasks. Empty where it is unknown."""
    groups = results.get("group_subtasks")
    if not isinstance(groups, Mapping):
        return []
    names, left, seen = list[str](), [source], set[str]()
    while left:
        name = left.pop()
        members = groups.get(name)
        if name in seen:
            continue
        seen.add(name)
        if isinstance(members, list) and members:
            left += [member for member in members if isinstance(member, str)]
        elif name != source:
            names.append(name)
    return names


def _aggregation(results: Mapping[str, Any], task: str, name: str) -> str:
    """How the task aggregates the metric `name`, by the results' configs; "" where they do not say."""
    configs = results.get("configs")
    config = configs.get(task) if isinstance(configs, Mapping) else None
    metrics = config.get("metric_list") if isinstance(config, Mapping) else None
    for metric in metrics if isinstance(metrics, list) else []:
        if isinstance(metric, Mapping) and metric.get("metric") == name:
            return str(metric.get("aggregation") or "")
    return ""


def _value(results: Mapping[str, Any], source: str, metric: str) -> float:
    """The value in the results, which were parsed: each is a number."""
    return float(results["results"][source][metric])


def _same(value: float, other: float) -> bool:
    return math.isclose(value, other, rel_tol=0, abs_tol=TOLERANCE)
