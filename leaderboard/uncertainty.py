"""Standard errors of scores: how far they would move with other questions of the same kind.

They come from the graded questions of one evaluation, and follow each score as `leaderboard.scores` computes it:

- A task's raw score is a mean over questions; a metric that grades a question several times (IFEval's instructions) is
  a ratio of two sums. Each question has an *influence* on the score: its share, to first order, of the deviation.
- Influences are summed by cluster, in all tasks of a benchmark: questions with the same text, or about the same
  passage, are one draw. The error is the root of the sum of their squares, each times m / (m - 1) in a stratum of m
  clusters. Tasks are strata, and subjects inside a task (`Benchmark.stratum`).
- A normalised score is 0 below the level of guessing. Near that level its error is that of max(0, x), x normal around
  the score: the limit of a bootstrap over clusters of the whole computation.
- With fewer than FEW right or wrong answers, the error follows from Wilson's interval. So no error is 0.

A model's *influence vectors* make paired differences cheap (`leaderboard.influences`): the influences of all clusters
on its average, and on each benchmark, as a few sums. The squared distance between two models' vectors is the variance
of the difference of their scores, within about six percent for averages and twelve for benchmarks; clusters that only
one model answered count as independent. The vectors may be public where questions are not: they hold sums, and no text
or id of a question. With fewer clusters than sums, a reader who already knows a question can see whether the answer to
it was right.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from leaderboard.graded_answers import TaskAnswers
from leaderboard.influences import Floats, average_text, benchmark_text, sums_of
from leaderboard.scores import ScoreErrors, Scores
from leaderboard.steward_block import BENCHMARK_INFLUENCE_LENGTH, INFLUENCE_LENGTH
from leaderboard.suites import Benchmark, Suite

Z = NormalDist().inv_cdf(0.975)
"""Standard errors from an estimate to either end of its 95 percent interval."""
FEW = 10
FAR = 8.0
"""Standard errors above the level of guessing at which the cut at that level no longer matters."""


@dataclass(frozen=True)
class Uncertainty:
    """Standard errors of raw scores (0-1) by task and by benchmark, and those of normalised scores.

    A benchmark is missing where its scores do not follow from the graded questions.
    """

    tasks: Mapping[str, float]
    raw: Mapping[str, float]
    normalised: ScoreErrors


@dataclass(frozen=True)
class _Estimate:
    """A score with its standard error. `influence` has a number for each cluster; `error` is at least its length."""

    error: float
    influence: Floats

    @property
    def excess(self) -> float:
        """The part of the variance that the influences do not explain."""
        return max(0.0, self.error**2 - _square(self.influence))


def standard_errors(answers: Mapping[str, TaskAnswers | None], scores: Scores, suite: Suite) -> Uncertainty:
    """Compute the standard errors of `scores` from the graded questions of each task."""
    tasks, raw, normalised, total = dict[str, float](), dict[str, float](), dict[str, float](), np.zeros(0)
    sums, vectors = np.zeros(INFLUENCE_LENGTH), dict[str, str]()
    for benchmark in suite.benchmarks:
        graded = [answers.get(task.name) for task in benchmark.tasks]
        present = [task for task in graded if task is not None]
        if len(present) < len(graded) or (errors := _of_benchmark(benchmark, present, scores)) is None:
            continue
        tasks |= errors.tasks
        raw[benchmark.name] = errors.raw
        normalised[benchmark.name] = min(100.0, errors.normalised.error)
        total = np.append(total, errors.normalised.influence)
        sums += sums_of(errors.clusters, errors.normalised.influence, INFLUENCE_LENGTH)
        vectors[benchmark.name] = _vector(errors, normalised[benchmark.name])
    if len(normalised) < len(suite.benchmarks):
        return Uncertainty(tasks, raw, ScoreErrors(normalised, benchmark_influences=vectors))
    count = len(suite.benchmarks)
    average = math.hypot(*normalised.values()) / count
    vector = average_text(sums, min(math.sqrt(_square(total)) / count, average))
    return Uncertainty(tasks, raw, ScoreErrors(normalised, average, vector, vectors))


@dataclass(frozen=True)
class _BenchmarkErrors:
    tasks: Mapping[str, float]
    raw: float
    normalised: _Estimate
    clusters: NDArray[np.uint64]


def _vector(errors: _BenchmarkErrors, error: float) -> str:
    """The influence vector of one benchmark, whose standard error is `error`."""
    influence = errors.normalised.influence
    sums = sums_of(errors.clusters, influence, BENCHMARK_INFLUENCE_LENGTH)
    return benchmark_text(sums, min(math.sqrt(_square(influence)), error))


def _of_benchmark(benchmark: Benchmark, answers: Sequence[TaskAnswers], scores: Scores) -> _BenchmarkErrors | None:
    """The errors of one benchmark; None if its raw scores are not those of `answers`."""
    scored = next(each for each in scores.benchmarks if each.name == benchmark.name)
    every = np.concatenate([np.asarray(task.clusters, np.uint64) for task in answers])
    clusters, places = np.unique(every, return_inverse=True)
    ends = np.cumsum([len(task.clusters) for task in answers])
    parts_of = np.split(places, ends[:-1])
    means, influences = zip(*(_mean(*part, len(clusters)) for part in zip(answers, parts_of, strict=True)), strict=True)
    weights = _weights(scored.raw, means, [len(task.clusters) for task in answers])
    if weights is None or not np.allclose(means, [task.raw for task in scored.tasks], atol=1e-6):
        return None
    sizes = [_count(part) for part in parts_of]
    alone = len(answers) == 1
    estimates = [_widened(*task, alone=alone) for task in zip(means, influences, sizes, strict=True)]
    if benchmark.normalise == "subtasks":
        raw = _combined(weights, estimates)
        parts = [
            _normalised(estimate, task.normalised, bound.lower_bound)
            for estimate, task, bound in zip(estimates, scored.tasks, benchmark.tasks, strict=True)
        ]
        normalised = _combined(np.full(len(parts), 1 / len(parts)), parts)
    else:
        raw = _widened(scored.raw, _weighted(weights, influences), len(clusters), alone=True)
        normalised = _normalised(raw, scored.normalised, benchmark.lower_bound)
    names = (task.name for task in benchmark.tasks)
    by_task = {name: estimate.error for name, estimate in zip(names, estimates, strict=True)}
    return _BenchmarkErrors(by_task, raw.error, normalised, clusters)


def _mean(task: TaskAnswers, places: NDArray[np.intp], clusters: int) -> tuple[float, Floats]:
    """A task's raw score, and the influence of each of the benchmark's clusters on it; `places` are its questions'."""
    sums, counts = np.asarray(task.sums, float), np.asarray(task.counts, float)
    totals = counts.sum(axis=0)
    strata, stratum = np.unique(np.asarray(task.strata, np.uint64), return_inverse=True)
    sizes = np.array([_count(places[stratum == number]) for number in range(len(strata))])
    if sizes.min() < 2:  # a stratum of one cluster shows no variance: then the task is one stratum
        stratum, sizes = np.zeros_like(stratum), np.array([_count(places)])
    means = _by_group(stratum, sums, len(sizes)) / _by_group(stratum, counts, len(sizes))
    influence = ((sums - means[stratum] * counts) / totals).mean(axis=1)
    influence = influence * np.sqrt(sizes / np.maximum(sizes - 1, 1))[stratum]
    spread = np.zeros(clusters)
    np.add.at(spread, places, influence)
    return float((sums.sum(axis=0) / totals).mean()), spread


def _count(places: NDArray[np.intp]) -> int:
    """The number of different values."""
    return int(np.count_nonzero(np.bincount(places)))


def _by_group(group: NDArray[np.intp], values: Floats, count: int) -> Floats:
    """The sums of the rows of `values` in each of `count` groups."""
    return np.array([np.bincount(group, weights=column, minlength=count) for column in values.T]).T


def _weights(raw: float, means: Sequence[float], sizes: Sequence[int]) -> Floats | None:
    """Return the tasks' weights in the raw score of their benchmark: by size, or equal; None if it is neither mean."""
    for weights in (np.array(sizes) / sum(sizes), np.full(len(sizes), 1 / len(sizes))):
        if math.isclose(float(weights @ means), raw, abs_tol=1e-6):
            return weights
    return None


def _widened(score: float, influence: Floats, clusters: int, *, alone: bool) -> _Estimate:
    """The estimate of a raw score, which has the error by Wilson's interval if few answers are right, or few wrong.

    An interval around a score that stands `alone` reaches the farther end of Wilson's. Of subtasks, whose deviations to
    either side cancel in the mean, the error is half the width of Wilson's interval.
    """
    variance, spread = _square(influence), score * (1 - score)
    # The score may be 0 or 1 and the answers not quite: they agree within a tolerance.
    count = spread / variance if variance > 1e-15 and spread > 1e-12 else float(clusters)
    error = math.sqrt(variance)
    if variance <= 1e-15 or count * min(score, 1 - score) < FEW:
        centre = (score + Z**2 / (2 * count)) / (1 + Z**2 / count)
        half = Z / (1 + Z**2 / count) * math.sqrt(max(0.0, spread / count) + (Z / (2 * count)) ** 2)
        error = max(error, (half + (abs(score - centre) if alone else 0)) / Z)
    return _Estimate(error, influence)


def _normalised(raw: _Estimate, score: float, lower_bound: float) -> _Estimate:
    """The estimate of the normalised `score` (0-100): that of max(0, x), x normal around `score`."""
    scale = 100 / (1 - lower_bound)
    error, distance = raw.error * scale, score / (raw.error * scale)
    if not lower_bound or distance > FAR:
        return _Estimate(error, raw.influence * scale)
    above, density = NormalDist().cdf(distance), NormalDist().pdf(distance)
    mean = distance * above + density
    variance = (distance**2 + 1) * above + distance * density - mean**2
    return _Estimate(error * math.sqrt(variance), raw.influence * scale * above)


def _combined(weights: Floats, estimates: Sequence[_Estimate]) -> _Estimate:
    """The estimate of a weighted sum of estimates, which share clusters."""
    influence = _weighted(weights, [estimate.influence for estimate in estimates])
    excess = math.fsum(weight**2 * estimate.excess for weight, estimate in zip(weights, estimates, strict=True))
    return _Estimate(math.sqrt(_square(influence) + excess), influence)


def _weighted(weights: Floats, influences: Sequence[Floats]) -> Floats:
    """Return the weighted sum, without a matrix product, whose threads cost more than they save on a busy machine."""
    total = np.zeros(len(influences[0]))
    for weight, influence in zip(weights, influences, strict=True):
        total += weight * influence
    return total


def _square(values: Floats) -> float:
    """The sum of squares."""
    return float(np.square(values).sum())
