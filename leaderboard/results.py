"""Results: from the harness's raw scores to a benchmark's score and the average, and the file that holds them.

A results file is the harness's own, with one block of ours, `steward`: which attempt it comes from and what was run.
Whoever reads one reads a stranger's file: it is parsed in bounds, every score is recomputed from the raw ones, and
nothing in the block is believed that the raw scores contradict.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Any, Literal, get_args

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from leaderboard.attempts import ATTEMPT_ID
from leaderboard.mistakes import mistakes
from leaderboard.suites import Benchmark, Suite, Task

MAX_BYTES = 4 * 1024 * 1024
MAX_DEPTH = 40
BLOCK = "steward"


class BadResults(ValueError):
    """These are no results of the suite; the message names what is wrong."""


# --- raw → normalised → average


@dataclass(frozen=True)
class TaskScore:
    """One task: `raw` in 0-1, `normalised` in 0-100."""

    name: str
    raw: float
    normalised: float


@dataclass(frozen=True)
class BenchmarkScore:
    """One benchmark: `raw` in 0-1, `normalised` in 0-100 (0: no better than guessing)."""

    name: str
    raw: float
    normalised: float
    tasks: tuple[TaskScore, ...]


@dataclass(frozen=True)
class Scores:
    """What the leaderboard shows: each benchmark, in the suite's order, and the mean of the normalised ones."""

    benchmarks: tuple[BenchmarkScore, ...]
    average: float

    @property
    def by_name(self) -> dict[str, float]:
        """Benchmark → normalised score."""
        return {benchmark.name: benchmark.normalised for benchmark in self.benchmarks}


def normalise(raw: float, lower_bound: float) -> float:
    """`raw` (0-1) on a scale where `lower_bound` is 0 and perfection is 100; what is below is 0 too."""
    return 0.0 if raw < lower_bound else (raw - lower_bound) / (1 - lower_bound) * 100


def score(results: Mapping[str, Any], suite: Suite) -> Scores:
    """The scores in the harness's `results` (task → metrics). Raises BadResults where one of the suite's is missing,
    or is no number in 0-1."""
    benchmarks = tuple(_benchmark(results, benchmark) for benchmark in suite.benchmarks)
    return Scores(benchmarks, math.fsum(b.normalised for b in benchmarks) / len(benchmarks))


def _benchmark(results: Mapping[str, Any], benchmark: Benchmark) -> BenchmarkScore:
    tasks = tuple(_task(results, benchmark, task) for task in benchmark.tasks)
    raw = _raw(results, benchmark.source, benchmark.metrics)
    if benchmark.normalise == "subtasks":
        normalised = math.fsum(task.normalised for task in tasks) / len(tasks)
    else:
        normalised = normalise(raw, benchmark.lower_bound)
    return BenchmarkScore(benchmark.name, raw, normalised, tasks)


def _task(results: Mapping[str, Any], benchmark: Benchmark, task: Task) -> TaskScore:
    raw = _raw(results, task.name, benchmark.metrics)
    return TaskScore(task.name, raw, normalise(raw, task.lower_bound))


def _raw(results: Mapping[str, Any], source: str, metrics: tuple[str, ...]) -> float:
    """The mean of `metrics` in the entry of `source`."""
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


# --- the file


Phase = Literal["load", "prepare", "evaluate"]
"""The weights are loaded; the tasks with their questions; the harness's own `evaluate` runs, to the last metric."""


class StewardBlock(BaseModel):
    """The `steward` block: where the results come from. Scores are repeated for readers who want nothing but them."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    v: Literal[1] = 1
    attempt: str = Field(pattern=ATTEMPT_ID.pattern)
    request: str = Field(max_length=1_000, description="path in the requests repo")
    model: str = Field(max_length=200)
    revision: str = Field(pattern=r"^[0-9a-f]{40}$")
    precision: str = Field(max_length=32)
    weight_type: str = Field(default="Original", max_length=32)
    base_model: str = Field(default="", max_length=200, description="what an Adapter or a Delta changes")
    base_revision: str = Field(default="", pattern=r"^([0-9a-f]{40})?$")
    use_chat_template: bool = False
    batch_size: int = Field(default=1, ge=1, le=4096, description="questions at once: it may show in the last digits")
    suite: str = Field(max_length=100)
    suite_digest: str = Field(pattern=r"^[0-9a-f]{64}$")
    datasets: dict[str, str] = Field(default_factory=dict, max_length=50, description="repo → commit")
    started: str = Field(max_length=40)
    ended: str = Field(max_length=40)
    versions: dict[str, str] = Field(default_factory=dict, max_length=50)
    hardware: str = Field(default="", max_length=200)
    seconds: dict[Phase, Annotated[float, Field(ge=0, allow_inf_nan=False)]] = Field(
        default_factory=dict, description="how long the evaluation was in each phase"
    )
    average: float = Field(ge=0, le=100)
    benchmarks: dict[str, float] = Field(max_length=50, description="name → normalised score, 0-100")
    raw: dict[str, float] = Field(default_factory=dict, max_length=50, description="name → raw score, 0-1")


@dataclass(frozen=True)
class ResultsFile:
    """A results file that was read and checked. `scores` are recomputed; `data` is all that the file holds."""

    block: StewardBlock
    scores: Scores
    data: Mapping[str, Any]


def scores_in_block(scores: Scores) -> dict[str, Any]:
    """The part of a block that repeats `scores`."""
    return {
        "average": scores.average,
        "benchmarks": scores.by_name,
        "raw": {benchmark.name: benchmark.raw for benchmark in scores.benchmarks},
    }


def with_block(harness: Mapping[str, Any], block: StewardBlock) -> dict[str, Any]:
    """The results file as JSON data: the harness's own, and `block`."""
    return {**harness, BLOCK: block.model_dump(mode="json")}


def phase_seconds(harness: Mapping[str, Any]) -> dict[str, float]:
    """How long the child says it was in each phase; what is no number of seconds is left out."""
    block = harness.get(BLOCK)
    said = block.get("seconds") if isinstance(block, Mapping) else None
    numbers = {phase: said.get(phase) for phase in get_args(Phase)} if isinstance(said, Mapping) else {}
    return {p: float(n) for p, n in numbers.items() if isinstance(n, int | float) and 0 <= n < math.inf}


def dump(data: Mapping[str, Any]) -> bytes:
    """The file's bytes. Raises BadResults where a number is none (NaN, infinity) or the file becomes too large."""
    try:
        text = json.dumps(data, indent=2, ensure_ascii=False, allow_nan=False)
    except ValueError as error:
        raise BadResults(f"the results hold a value that JSON cannot: {error}") from error
    encoded = text.encode("utf-8", "replace") + b"\n"
    if len(encoded) > MAX_BYTES:
        raise BadResults(f"the results take {len(encoded)} bytes, more than {MAX_BYTES}")
    return encoded


def parse_harness(data: bytes) -> dict[str, Any]:
    """The JSON object in `data`, within bounds, with a mapping of results in it. Raises BadResults."""
    if len(data) > MAX_BYTES:
        raise BadResults(f"the results take {len(data)} bytes, more than {MAX_BYTES}")
    try:
        parsed = json.loads(data, parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        raise BadResults(f"the results are not JSON: {str(error)[:200] or type(error).__name__}") from error
    if not isinstance(parsed, dict) or not isinstance(parsed.get("results"), dict):
        raise BadResults("the results are not an object with an object `results` in it")
    if _deeper_than(parsed, MAX_DEPTH):
        raise BadResults(f"the results are nested more than {MAX_DEPTH} deep")
    return parsed


def read_results(data: bytes, suite: Suite) -> ResultsFile:
    """The results of `suite` in a file's bytes. Raises BadResults where they are not what they should be."""
    parsed = parse_harness(data)
    try:
        block = StewardBlock.model_validate(parsed.get(BLOCK))
    except ValidationError as error:
        raise BadResults(f"the steward block has mistakes: {mistakes(error, most=5)}") from error
    if (block.suite, block.suite_digest) != (suite.name, suite.digest):
        raise BadResults(f"the results are of the suite {block.suite} {block.suite_digest[:12]}, not of this one")
    scores = score(parsed["results"], suite)
    if not _same(block, scores):
        raise BadResults("the scores in the steward block are not those that follow from the raw ones")
    return ResultsFile(block, scores, parsed)


def suite_digest(data: bytes) -> str | None:
    """Which suite a results file says that it is of, whatever that is; None where it says nothing that can be read."""
    try:
        return StewardBlock.model_validate(parse_harness(data).get(BLOCK)).suite_digest
    except (BadResults, ValidationError):
        return None


def _same(block: StewardBlock, scores: Scores) -> bool:
    """Whether the block repeats `scores`, but for rounding in the last digits."""
    names = block.benchmarks.keys() == scores.by_name.keys()
    close = all(math.isclose(block.benchmarks.get(n, -1), s, abs_tol=1e-6) for n, s in scores.by_name.items())
    return names and close and math.isclose(block.average, scores.average, abs_tol=1e-6)


def _no_constant(name: str) -> float:
    raise ValueError(f"{name} is not a number")


def _deeper_than(value: Any, depth: int) -> bool:
    if isinstance(value, dict):
        return depth == 0 or any(_deeper_than(item, depth - 1) for item in value.values())
    if isinstance(value, list):
        return depth == 0 or any(_deeper_than(item, depth - 1) for item in value)
    return False


# --- its name


def file_time(seconds: float) -> str:
    """`2026-11-24T12-00-00.123456`: a time in UTC, as the names of results and details hold it."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H-%M-%S.%f")
