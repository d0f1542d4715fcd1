"""Checks the files that an evaluator left: its samples and its results, which are untrusted input.

`TaskSamples` reads the samples of one task line by line; `check_results` compares results.json with the plan and with
the samples; `harness_results` and `digest_parts` convert them to the form in which lm-eval's results are stored. A
metric's value is computed from the samples, unless the suite says that the evaluator reports it.
"""

from __future__ import annotations

import hashlib
import math
from array import array
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Literal, TypeVar

from pydantic import BaseModel, ValidationError

from leaderboard.evaluator_contract import (
    MAX_FILE_BYTES,
    MAX_LINE_BYTES,
    MAX_SAMPLES,
    MAX_SAMPLES_BYTES,
    RESULTS,
    EvaluatorResults,
    EvaluatorSample,
    TaskReport,
)
from leaderboard.evaluators import Evaluator
from leaderboard.reasons import bounded, describe_errors, names
from leaderboard.result_digests import AskedParts, DigestParts, ScoredParts, TaskDigests, digest_of
from leaderboard.suites import Benchmark, Suite

T = TypeVar("T", bound=BaseModel)
TOLERANCE = 1e-6
"""Largest difference between a metric that an evaluator reports and the mean of its samples."""

GENERAL_PACKAGES = frozenset({"accelerate", "datasets", "numpy", "python", "tokenizers", "torch", "transformers"})
"""Packages that load models and compute, so that they change last digits only: recorded, but no part of `scored`."""

ProblemKind = Literal["missing", "invalid", "contradiction", "other-run", "errors"]
"""A file or a part of it is missing; it breaks the contract; the results do not follow from the samples; they are of
another run; too many questions ended with an error."""


class EvaluatorProblem(ValueError):
    """An evaluator's files cannot be published; the message tells the evaluator's author why."""

    def __init__(self, kind: ProblemKind, message: str) -> None:
        super().__init__(message)
        self.kind = kind


def invalid(where: str, error: ValidationError) -> EvaluatorProblem:
    """Return the problem that the content of `where` does not match its schema."""
    return EvaluatorProblem("invalid", f"{where}: {bounded(describe_errors(error, limit=3), 400)}")


def read_sample(line: bytes, where: str) -> EvaluatorSample:
    """Parse one line of samples. Raises EvaluatorProblem."""
    if len(line) >= MAX_LINE_BYTES:
        raise EvaluatorProblem("invalid", f"{where} has {MAX_LINE_BYTES:,} bytes or more")
    return _parsed(EvaluatorSample, line, where)


def _parsed(model: type[T], data: bytes, where: str) -> T:
    try:
        return model.model_validate_json(data)
    except ValidationError as error:
        raise invalid(where, error) from error
    except (ValueError, RecursionError) as error:  # text that JSON does not allow, or JSON that is nested too deeply
        raise EvaluatorProblem("invalid", f"{where}: {bounded(error)}") from error


@dataclass
class TaskSamples:
    """The parts of one task's samples that results and digests need. Call `add` with each line of the file in order."""

    task: str
    benchmark: Benchmark
    reported: frozenset[str] = frozenset()
    withdrawn: frozenset[int] = frozenset()
    errors: int = 0
    nbytes: int = 0
    _ids: array[int] = field(default_factory=lambda: array("q"))
    _seen: dict[int, tuple[bytes, bytes]] = field(default_factory=dict)
    _values: dict[str, array[float]] = field(default_factory=dict)

    @property
    def questions(self) -> int:
        """The number of samples."""
        return len(self._ids)

    @property
    def ids(self) -> frozenset[int]:
        """The numbers of the questions."""
        return frozenset(self._seen)

    @property
    def counted(self) -> int:
        """The number of samples whose questions are not withdrawn."""
        return sum(id_ not in self.withdrawn for id_ in self._ids)

    def add(self, line: bytes) -> EvaluatorSample:
        """Check one line and count it. Raises EvaluatorProblem."""
        where = f"line {self.questions + 1} of samples/{self.task}.jsonl"
        if self.questions >= MAX_SAMPLES:
            raise EvaluatorProblem("invalid", f"samples/{self.task}.jsonl has more than {MAX_SAMPLES:,} lines")
        self.nbytes += len(line)
        if self.nbytes > MAX_SAMPLES_BYTES:
            raise EvaluatorProblem("invalid", f"samples/{self.task}.jsonl has more than {MAX_SAMPLES_BYTES:,} bytes")
        sample = read_sample(line, where)
        if sample.id in self._seen:
            raise EvaluatorProblem("invalid", f"{where} repeats the id {sample.id}")
        for metric in self._means():
            value = sample.metrics.get(metric)
            if value is None or not 0 <= value <= 1:
                stated = "no value" if value is None else f"{value:g}"
                raise EvaluatorProblem("invalid", f"{where} has {stated} for {metric}, which is a number from 0 to 1")
            self._values.setdefault(metric, array("d")).append(value)
        prompt = hashlib.sha256(sample.prompt.encode("utf-8", "replace")).digest()
        self._seen[sample.id] = (prompt, bytes.fromhex(sample.question_digest))
        self._ids.append(sample.id)
        self.errors += bool(sample.error)
        return sample

    def _means(self) -> Iterator[str]:
        return (metric for metric in self.benchmark.metrics if metric not in self.reported)

    def mean(self, metric: str, *, counted_only: bool = False) -> float:
        """The mean of `metric` over all samples, or over those whose questions are not withdrawn."""
        values = self._values[metric]
        if counted_only and self.withdrawn:
            counted = [value for id_, value in zip(self._ids, values, strict=True) if id_ not in self.withdrawn]
            return math.fsum(counted) / len(counted) if counted else 0.0
        return math.fsum(values) / len(values)

    def asked(self, shots: int, dataset: str) -> AskedParts:
        """The digests of the task's questions; the order of the lines does not change them."""
        digests = [hashlib.sha256(), hashlib.sha256()]
        for id_, parts in sorted(self._seen.items()):
            for digest, part in zip(digests, parts, strict=True):
                digest.update(b"%d %s\n" % (id_, part.hex().encode()))
        requests, documents = (digest.hexdigest() for digest in digests)
        return AskedParts(
            requests=requests, documents=documents, questions=self.questions, shots=shots, dataset=dataset
        )


def samples_of(suite: Suite) -> dict[str, TaskSamples]:
    """Return an empty collector for each task of a suite that names an evaluator."""
    reported = frozenset(_evaluator(suite).reported)
    return {
        task.name: TaskSamples(task.name, benchmark, reported, suite.withdrawn(task.name))
        for benchmark in suite.benchmarks
        for task in benchmark.tasks
    }


def _evaluator(suite: Suite) -> Evaluator:
    assert suite.evaluator is not None, "only suites that name an evaluator have such files"
    return suite.evaluator


def parse_results(data: bytes) -> EvaluatorResults:
    """Parse results.json. Raises EvaluatorProblem."""
    if len(data) > MAX_FILE_BYTES:
        raise EvaluatorProblem("invalid", f"{RESULTS} has more than {MAX_FILE_BYTES:,} bytes")
    return _parsed(EvaluatorResults, data, RESULTS)


def check_results(
    results: EvaluatorResults,
    suite: Suite,
    samples: Mapping[str, TaskSamples],
    *,
    model: str,
    revision: str,
    limit: int | None = None,
) -> None:
    """Raise EvaluatorProblem unless `results` belong to this run and agree with `samples`.

    `limit` is the most questions of a task that the plan allows.
    """
    evaluator = _evaluator(suite)
    for what, reported, asked in (
        ("the evaluator", _named(results.evaluator.name, results.evaluator.version), _named(*_identity(evaluator))),
        ("the model", results.model, model),
        ("the model's revision", results.revision, revision),
    ):
        if reported != asked:
            raise EvaluatorProblem("other-run", f"{RESULTS} names {bounded(reported)} as {what}; the plan says {asked}")
    if foreign := sorted(results.tasks.keys() - samples.keys()):
        raise EvaluatorProblem(
            "other-run", f"{RESULTS} has results of tasks that the plan does not have: {names(foreign)}"
        )
    if missing := [task for task in samples if task not in results.tasks]:
        raise EvaluatorProblem("missing", f"{RESULTS} has no results of {names(missing)}")
    for task, collected in samples.items():
        if limit is not None and collected.questions > limit:
            words = f"samples/{task}.jsonl has {collected.questions:,} questions; the plan's limit is {limit:,}"
            raise EvaluatorProblem("other-run", words)
        _check_task(results.tasks[task], collected, evaluator)


def _identity(evaluator: Evaluator) -> tuple[str, str]:
    return evaluator.name, evaluator.version


def _named(name: str, version: str) -> str:
    return f"{name} {version}"


def _check_task(report: TaskReport, samples: TaskSamples, evaluator: Evaluator) -> None:
    task = samples.task
    if not samples.questions:
        raise EvaluatorProblem("missing", f"samples/{task}.jsonl has no lines")
    for what, reported, counted in (
        ("questions", report.questions, samples.questions),
        ("errors", report.errors, samples.errors),
    ):
        if reported != counted:
            words = f"{RESULTS} says {reported:,} {what} of {task}; its samples have {counted:,}"
            raise EvaluatorProblem("contradiction", words)
    for metric in samples.benchmark.metrics:
        value = report.metrics.get(metric)
        if value is None or not 0 <= value <= 1:
            stated = "no value" if value is None else f"{value:g}"
            raise EvaluatorProblem("invalid", f"{RESULTS} has {stated} for {metric} of {task}; a metric is from 0 to 1")
        if metric not in samples.reported and not math.isclose(value, samples.mean(metric), abs_tol=TOLERANCE):
            words = f"{RESULTS} says {value:.6f} for {metric} of {task}; its samples give {samples.mean(metric):.6f}"
            raise EvaluatorProblem("contradiction", words)
    if samples.errors > evaluator.max_errors:
        words = f"{samples.errors:,} questions of {task} ended with an error, and {evaluator.max_errors:,} may"
        raise EvaluatorProblem("errors", words)


# --- in the form of stored results


def harness_results(
    results: EvaluatorResults, suite: Suite, samples: Mapping[str, TaskSamples]
) -> dict[str, dict[str, float]]:
    """Return metrics by task; for a benchmark of several tasks also, by its source, their mean weighted by size."""
    entries = {task: _values(results.tasks[task], collected) for task, collected in samples.items()}
    for benchmark in suite.benchmarks:
        if benchmark.source not in samples:
            tasks = [task.name for task in benchmark.tasks]
            entries[benchmark.source] = {
                metric: _mean_by_size((samples[task], entries[task][metric]) for task in tasks)
                for metric in benchmark.metrics
            }
    return entries


def _values(report: TaskReport, samples: TaskSamples) -> dict[str, float]:
    return {
        metric: report.metrics[metric] if metric in samples.reported else samples.mean(metric, counted_only=True)
        for metric in samples.benchmark.metrics
    }


def _mean_by_size(tasks: Iterable[tuple[TaskSamples, float]]) -> float:
    weighted = [(samples.counted, value) for samples, value in tasks]
    total = sum(size for size, _ in weighted)
    return math.fsum(size * value for size, value in weighted) / total if total else 0.0


def digest_parts(
    results: EvaluatorResults, suite: Suite, samples: Mapping[str, TaskSamples], datasets: Mapping[str, str]
) -> DigestParts:
    """Return the parts of `asked`, from the samples, and of `scored`: the evaluator, its options and named versions.

    `datasets`: repo → commit of the suite's questions.
    """
    evaluator = _evaluator(suite)
    module = f"evaluator {evaluator.name}"
    versions = {name: text for name, text in sorted(results.versions.items()) if name.lower() not in GENERAL_PACKAGES}
    dataset = ", ".join(f"{repo}@{revision}" for repo, revision in datasets.items())[:300]
    tasks = {}
    for benchmark in suite.benchmarks:
        reported = sorted(set(benchmark.metrics) & set(evaluator.reported))
        scored = ScoredParts(
            metrics=digest_of([sorted(benchmark.metrics), reported])[:16],
            filters=digest_of([])[:16],
            targets=digest_of([])[:16],
            modules=(module,),
            packages=tuple(versions),
        )
        for task in benchmark.tasks:
            asked = samples[task.name].asked(benchmark.shots, dataset)
            tasks[task.name] = TaskDigests(asked=asked, scored=scored)
    return DigestParts(tasks=tasks, modules={module: digest_of(evaluator.scoring)[:16]}, versions=versions)
