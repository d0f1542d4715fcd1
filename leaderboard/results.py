"""Results files, and the scores computed from the harness's raw scores.

A results file is the harness's own file plus a block `steward`, which names the attempt and its settings. Results files
are untrusted: they are parsed within bounds, every score is recomputed from the raw scores, and a block that
contradicts the raw scores is refused.
"""

from __future__ import annotations

import json
import math
import struct
from base64 import b64decode
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Annotated, Any, Literal, TypedDict, get_args

from pydantic import BaseModel, ConfigDict, Field, JsonValue, StringConstraints, ValidationError

from leaderboard.attempts import ATTEMPT_ID
from leaderboard.comparability import DigestParts, ResultDigests, rules_digest
from leaderboard.cross_checks import CrossCheckRecord
from leaderboard.engines import EngineUse
from leaderboard.evaluators import EvaluatorIdentity
from leaderboard.jsontext import JsonObject
from leaderboard.reasons import describe_errors
from leaderboard.sample_checks import CheckedSamples
from leaderboard.suites import Benchmark, Suite, Task
from leaderboard.times import read_time

MAX_BYTES = 4 * 1024 * 1024
MAX_DEPTH = 40
"""Levels of nesting in a results file."""
BLOCK = "steward"
INFLUENCE_LENGTH = 512
"""Numbers in the influence vector of an average; see `leaderboard.influences`."""
BENCHMARK_INFLUENCE_LENGTH = 128
"""Numbers in the influence vector of a benchmark."""


class BadResults(ValueError):
    """The data is no results file of the suite; the message says why."""


# --- raw → normalised → average


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


# --- the file


Phase = Literal["load", "prepare", "evaluate"]
"""Loading the weights; loading the tasks with their questions; the harness's `evaluate` with all its metrics."""
StandardError = Annotated[float, Field(gt=0, le=100, allow_inf_nan=False)]

_BASE64 = r"^[A-Za-z0-9+/]*={0,2}$"
BenchmarkInfluence = Annotated[
    str, StringConstraints(pattern=_BASE64, max_length=4 * math.ceil((4 + BENCHMARK_INFLUENCE_LENGTH) / 3))
]


class RescoredFrom(BaseModel):
    """The evaluation whose stored answers were scored again, without a model, and what scored them."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    results: str = Field(max_length=1_000, description="path in the results repo; tables of answers have its time")
    suite: str = Field(max_length=100)
    suite_digest: str = Field(pattern=r"^[0-9a-f]{64}$")
    at: str = Field(max_length=40, description="when the answers were scored again")
    versions: dict[str, str] = Field(default_factory=dict, max_length=50, description="what scored them")
    timed_out: tuple[str, ...] = Field(
        default=(), max_length=2_000, description="`task:question` whose metric ran out of time, here"
    )


class EvaluatorUse(EvaluatorIdentity):
    """The evaluator that computed results, if it is not lm-eval."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    errors: int = Field(default=0, ge=0, description="questions that ended with an error instead of an answer")
    options: dict[str, JsonValue] | None = Field(
        default=None,
        exclude_if=lambda options: options is None,
        description="the suite's options when the questions were answered; None: not recorded",
    )


class StewardBlock(BaseModel):
    """The `steward` block: the origin of the results, and a copy of the scores for simple readers."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    v: Literal[1] = 1
    attempt: str = Field(pattern=ATTEMPT_ID.pattern)
    request: str = Field(max_length=1_000, description="path in the requests repo")
    model: str = Field(max_length=200)
    revision: str = Field(pattern=r"^[0-9a-f]{40}$")
    precision: str = Field(max_length=32)
    weight_type: str = Field(default="Original", max_length=32)
    base_model: str = Field(default="", max_length=200, description="the base model of an Adapter or a Delta")
    base_revision: str = Field(default="", pattern=r"^([0-9a-f]{40})?$")
    use_chat_template: bool = False
    batch_size: int = Field(default=1, ge=1, le=4096, description="questions at once; it can affect the last digits")
    engine: EngineUse | None = Field(default=None, description="None: the harness alone computed everything")
    evaluator: EvaluatorUse | None = Field(
        default=None,
        exclude_if=lambda use: use is None,  # files of lm-eval stay as they were
        description="the evaluator that computed the results; None: lm-eval",
    )
    suite: str = Field(max_length=100)
    suite_digest: str = Field(pattern=r"^[0-9a-f]{64}$")
    digests: ResultDigests | None = Field(
        default=None,
        description="digests of the questions and of the scoring; None: the file is older than these digests",
    )
    datasets: dict[str, str] = Field(default_factory=dict, max_length=50, description="repo → commit")
    started: str = Field(max_length=40)
    ended: str = Field(max_length=40)
    versions: dict[str, str] = Field(default_factory=dict, max_length=50)
    hardware: str = Field(default="", max_length=200)
    seconds: dict[Phase, Annotated[float, Field(ge=0, allow_inf_nan=False)]] = Field(
        default_factory=dict, description="duration of each phase"
    )
    replayed: int = Field(default=0, ge=0, description="answers that an earlier attempt computed")
    average: float = Field(ge=0, le=100)
    benchmarks: dict[str, float] = Field(max_length=50, description="name → normalised score, 0-100")
    raw: dict[str, float] = Field(default_factory=dict, max_length=50, description="name → raw score, 0-1")
    errors: dict[str, StandardError] = Field(
        default_factory=dict, max_length=50, description="name → standard error of the normalised score, in points"
    )
    average_error: StandardError | None = Field(default=None, description="standard error of the average")
    influence: str = Field(
        default="",
        pattern=_BASE64,
        max_length=4 * math.ceil(2 * INFLUENCE_LENGTH / 3),
        description="the average's influence vector, for paired differences: half-precision numbers in base64",
    )

    benchmark_influences: dict[str, BenchmarkInfluence] = Field(
        default_factory=dict,
        max_length=50,
        description="name → the benchmark's influence vector: a factor and numbers of eight bits in base64",
    )
    rescored_from: RescoredFrom | None = Field(
        default=None, description="None: the scores are those of the evaluation itself"
    )
    doubted: str = Field(
        default="",
        max_length=1_000,
        exclude_if=lambda reason: not reason,  # all but a few files lack it
        description="why these scores are in doubt: the worker's later answers were found not to be the model's",
    )
    checked: CheckedSamples | None = Field(
        default=None, description="what the bot compared with the samples before it published; only in the results repo"
    )

    @property
    def again(self) -> CrossCheckRecord | None:
        """What another worker said about its answers; None for the operator's own workers."""
        return self.checked.again if self.checked is not None else None

    @property
    def score_errors(self) -> ScoreErrors:
        """The standard errors that the block names."""
        return ScoreErrors(self.errors, self.average_error, self.influence, self.benchmark_influences)


@dataclass(frozen=True)
class ResultsFile:
    """A parsed and checked results file. `scores` are recomputed; `data` is the whole file."""

    block: StewardBlock
    scores: Scores
    data: Mapping[str, Any]


class BlockScores(TypedDict):
    """The members of a `steward` block that repeat the scores."""

    average: float
    benchmarks: dict[str, float]
    raw: dict[str, float]


def scores_in_block(scores: Scores) -> BlockScores:
    """Return the members of a block that repeat `scores`."""
    raw = {benchmark.name: benchmark.raw for benchmark in scores.benchmarks}
    return {"average": scores.average, "benchmarks": scores.by_name, "raw": raw}


class BlockErrors(TypedDict):
    """The members of a block that hold the standard errors of its scores."""

    errors: dict[str, float]
    average_error: float | None
    influence: str
    benchmark_influences: dict[str, str]


def errors_in_block(errors: ScoreErrors) -> BlockErrors:
    """Return the members of a block that hold `errors`."""
    return {
        "errors": dict(errors.benchmarks),
        "average_error": errors.average,
        "influence": errors.influence,
        "benchmark_influences": dict(errors.benchmark_influences),
    }


def with_block(harness: Mapping[str, Any], block: StewardBlock) -> JsonObject:
    """Return the results file as JSON data: the harness's fields and `block`."""
    return {**harness, BLOCK: block.model_dump(mode="json")}


def phase_seconds(harness: Mapping[str, Any]) -> dict[str, float]:
    """Return the seconds of each phase that the child reported, without invalid values."""
    block = harness.get(BLOCK)
    seconds = block.get("seconds") if isinstance(block, Mapping) else None
    numbers = {phase: seconds.get(phase) for phase in get_args(Phase)} if isinstance(seconds, Mapping) else {}
    return {p: float(n) for p, n in numbers.items() if isinstance(n, int | float) and 0 <= n < math.inf}


def engine_use(harness: Mapping[str, Any]) -> EngineUse | None:
    """Return what the child reported about its engine; None if that is nothing, or invalid."""
    block = harness.get(BLOCK)
    try:
        return EngineUse.model_validate(block.get("engine")) if isinstance(block, Mapping) else None
    except ValidationError:
        return None


def digest_parts(harness: Mapping[str, Any]) -> DigestParts | None:
    """Return what the child reported of what it asked and how it scored; None for nothing. Raises BadResults."""
    block = harness.get(BLOCK)
    parts = block.get("digests") if isinstance(block, Mapping) else None
    try:
        return None if parts is None else DigestParts.model_validate(parts)
    except ValidationError as error:
        raise BadResults(f"the digests of the evaluation are invalid: {describe_errors(error, limit=5)}") from error


def dump(data: Mapping[str, Any]) -> bytes:
    """Return the file's bytes. Raises BadResults if a number is NaN or infinite, or the file is too large."""
    try:
        text = json.dumps(data, indent=2, ensure_ascii=False, allow_nan=False)
    except ValueError as error:
        raise BadResults(f"the results hold a value that JSON cannot: {error}") from error
    encoded = text.encode("utf-8", "replace") + b"\n"
    if len(encoded) > MAX_BYTES:
        raise BadResults(f"the results take {len(encoded)} bytes, more than {MAX_BYTES}")
    return encoded


def parse_harness(data: bytes) -> JsonObject:
    """Parse the JSON object in `data`, which has an object `results`, within bounds. Raises BadResults."""
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
    """Parse and check the results of `suite` in a file's bytes. Raises BadResults."""
    parsed = parse_harness(data)
    try:
        block = StewardBlock.model_validate(parsed.get(BLOCK))
    except ValidationError as error:
        raise BadResults(f"the steward block is invalid: {describe_errors(error, limit=5)}") from error
    if (block.suite, block.suite_digest) != (suite.name, suite.digest):
        raise BadResults(f"the results are of the suite {block.suite} {block.suite_digest[:12]}, not of this one")
    scores = score(parsed["results"], suite)
    if not _same(block, scores):
        raise BadResults("the scores in the steward block are not those that follow from the raw ones")
    _check_errors(block)
    if block.digests is not None and not (block.digests.is_consistent() and block.digests.rules == rules_digest(suite)):
        raise BadResults("the digests in the steward block are not those that follow from their parts")
    return ResultsFile(block, scores, parsed)


def suite_digest(data: bytes) -> str | None:
    """Return the suite digest that a results file names; None if the file is unreadable."""
    try:
        return StewardBlock.model_validate(parse_harness(data).get(BLOCK)).suite_digest
    except (BadResults, ValidationError):
        return None


def _same(block: StewardBlock, scores: Scores) -> bool:
    """Whether the block repeats `scores`, except for rounding in the last digits."""
    names = block.benchmarks.keys() == scores.by_name.keys()
    close = all(math.isclose(block.benchmarks.get(n, -1), s, abs_tol=1e-6) for n, s in scores.by_name.items())
    return names and close and math.isclose(block.average, scores.average, abs_tol=1e-6)


def _check_errors(block: StewardBlock) -> None:
    """Raise BadResults if the block's standard errors contradict each other."""
    if not block.errors.keys() <= block.benchmarks.keys():
        raise BadResults("the steward block names standard errors of other benchmarks")
    for name, text in block.benchmark_influences.items():
        if not _benchmark_influence_norm(text) <= block.errors.get(name, 0.0) * 1.01:  # true for NaN, too
            raise BadResults("a benchmark's influence vector in the steward block does not fit its standard error")
    if block.average_error is None:
        if block.influence:
            raise BadResults("the steward block has an influence vector, but no standard error of the average")
        return
    average = math.hypot(*block.errors.values()) / len(block.benchmarks)
    if len(block.errors) < len(block.benchmarks) or not math.isclose(block.average_error, average, abs_tol=1e-6):
        raise BadResults("the average's standard error is not the one that follows from the benchmarks'")
    if block.influence and not _influence_norm(block.influence) <= block.average_error * 1.01:  # true for NaN, too
        raise BadResults("the influence vector in the steward block does not fit the average's standard error")


def _influence_norm(text: str) -> float:
    """The length of an influence vector as Euclid measures it; infinity for a malformed one."""
    try:
        return math.hypot(*struct.unpack(f"<{INFLUENCE_LENGTH}e", b64decode(text, validate=True)))
    except (ValueError, struct.error):
        return math.inf


def _benchmark_influence_norm(text: str) -> float:
    """The length of the influence vector of a benchmark; infinity for a malformed one."""
    try:
        factor, *steps = struct.unpack(f"<f{BENCHMARK_INFLUENCE_LENGTH}b", b64decode(text, validate=True))
    except (ValueError, struct.error):
        return math.inf
    return abs(float(factor)) * math.hypot(*steps)


def _no_constant(name: str) -> float:
    raise ValueError(f"{name} is not a number")


def _deeper_than(value: Any, depth: int) -> bool:
    if isinstance(value, dict):
        return depth == 0 or any(_deeper_than(item, depth - 1) for item in value.values())
    if isinstance(value, list):
        return depth == 0 or any(_deeper_than(item, depth - 1) for item in value)
    return False


# --- its name


def results_time(path: str) -> float | None:
    """Return the time in the name of the results file at `path`, in seconds since the epoch; None if it has none."""
    return read_time(path.rpartition("/")[2].removeprefix("results_").removesuffix(".json"))


def file_time(seconds: float) -> str:
    """Format a time in UTC as in the names of results and details files: `2026-11-24T12-00-00.123456`."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H-%M-%S.%f")
