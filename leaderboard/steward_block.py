"""The `steward` block of a results file: the origin of the results, and a copy of their scores."""

from __future__ import annotations

import math
import struct
from base64 import b64decode
from collections.abc import Mapping
from typing import Annotated, Any, Literal, TypedDict, get_args

from pydantic import BaseModel, ConfigDict, Field, JsonValue, StringConstraints, ValidationError

from leaderboard.attempts import ATTEMPT_ID
from leaderboard.cross_checks import CrossCheckRecord
from leaderboard.engines import EngineUse
from leaderboard.evaluators import EvaluatorIdentity
from leaderboard.jsontext import JsonObject
from leaderboard.reasons import describe_errors
from leaderboard.result_digests import DigestParts, ResultDigests
from leaderboard.sample_checks import CheckedSamples
from leaderboard.scores import BadResults, ScoreErrors, Scores

BLOCK = "steward"
INFLUENCE_LENGTH = 512
"""Numbers in the influence vector of an average; see `leaderboard.influences`."""
BENCHMARK_INFLUENCE_LENGTH = 128
"""Numbers in the influence vector of a benchmark."""


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
        """The cross-check of its answers; None for those of the operator's own workers."""
        return self.checked.again if self.checked is not None else None

    @property
    def score_errors(self) -> ScoreErrors:
        """The standard errors that the block names."""
        return ScoreErrors(self.errors, self.average_error, self.influence, self.benchmark_influences)


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
    """Return the use of an engine that the child reported; None if it reported none, or an invalid one."""
    block = harness.get(BLOCK)
    try:
        return EngineUse.model_validate(block.get("engine")) if isinstance(block, Mapping) else None
    except ValidationError:
        return None


def repeats_scores(block: StewardBlock, scores: Scores) -> bool:
    """Whether the block repeats `scores`, except for rounding in the last digits."""
    names = block.benchmarks.keys() == scores.by_name.keys()
    close = all(math.isclose(block.benchmarks.get(n, -1), s, abs_tol=1e-6) for n, s in scores.by_name.items())
    return names and close and math.isclose(block.average, scores.average, abs_tol=1e-6)


def check_errors(block: StewardBlock) -> None:
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
    """Return the Euclidean length of the influence vector of an average; infinity for a malformed one."""
    try:
        return math.hypot(*struct.unpack(f"<{INFLUENCE_LENGTH}e", b64decode(text, validate=True)))
    except (ValueError, struct.error):
        return math.inf


def _benchmark_influence_norm(text: str) -> float:
    """Return the Euclidean length of the influence vector of a benchmark; infinity for a malformed one."""
    try:
        factor, *steps = struct.unpack(f"<f{BENCHMARK_INFLUENCE_LENGTH}b", b64decode(text, validate=True))
    except (ValueError, struct.error):
        return math.inf
    return abs(float(factor)) * math.hypot(*steps)


def digest_parts(harness: Mapping[str, Any]) -> DigestParts | None:
    """Return the parts of digests that the child reported; None if it reported none. Raises BadResults."""
    block = harness.get(BLOCK)
    parts = block.get("digests") if isinstance(block, Mapping) else None
    try:
        return None if parts is None else DigestParts.model_validate(parts)
    except ValidationError as error:
        raise BadResults(f"the digests of the evaluation are invalid: {describe_errors(error, limit=5)}") from error
