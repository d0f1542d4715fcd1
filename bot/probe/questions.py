"""The kinds of questions to the probe, their limits, and the shapes of answers that become facts later."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from leaderboard.sample_checks import MetricSum

Kind = Literal[
    "config", "tokenizer", "index", "headers", "adapter", "answers", "table-parts", "sample-sums", "metrics",
    "predictions",
]  # fmt: skip

MIB = 2**20
TOO_COSTLY: Mapping[str, str] = {"state": "too-costly"}
"""The answer where the fork died at the question, or did not finish."""
STARVED: Mapping[str, str] = {"state": "starved"}
"""The answer where the time was over before the fork got its share of CPU time, since the machine was busy, or where
the kernel killed it before that, since the machine had no memory left."""
READY = b"ready\n"
"""The probe's first line: its imports are done."""
MIN_CPU_SHARE = 0.25
"""The part of its CPU limit that a question must have used to count as too costly."""
INDEX_FILE = "model.safetensors.index.json"


@dataclass(frozen=True)
class ProbeLimits:
    """The limits of one question: bytes of memory beyond those of the imports, CPU seconds, and seconds of wall time.

    A fork waits for nothing but the CPU, so the wall time only matters on busy machines and is generous.
    """

    memory: int
    cpu: int
    wall: float
    answer: int = MIB
    """Bytes of the answer."""

    def starves(self, used_cpu: float) -> bool:
        """Whether a fork that did not finish in `wall` seconds got too little CPU time to be at fault."""
        return used_cpu < MIN_CPU_SHARE * self.cpu


LIMITS: Mapping[Kind, ProbeLimits] = {
    "config": ProbeLimits(256 * MIB, cpu=2, wall=60),
    # The largest known vocabularies (256,000 tokens, 33 MB of JSON) take 500 MB and 3 seconds.
    "tokenizer": ProbeLimits(1_024 * MIB, cpu=10, wall=90),
    "index": ProbeLimits(384 * MIB, cpu=5, wall=60),
    "headers": ProbeLimits(384 * MIB, cpu=5, wall=60),
    "adapter": ProbeLimits(128 * MIB, cpu=2, wall=60),
    "answers": ProbeLimits(1_536 * MIB, cpu=20, wall=90, answer=8 * MIB),
    # A million samples with two metrics take 10 seconds and 300 MB.
    "table-parts": ProbeLimits(512 * MIB, cpu=10, wall=60, answer=4 * MIB),
    "sample-sums": ProbeLimits(1_024 * MIB, cpu=60, wall=240),
    "metrics": ProbeLimits(2_048 * MIB, cpu=60, wall=240),
    "predictions": ProbeLimits(1_024 * MIB, cpu=20, wall=90, answer=64 * MIB),
}


@dataclass(frozen=True)
class WeightFileHead:
    """The start of one weight file: its bytes are in the folder as `file`; `size` is the size of the whole file."""

    name: str
    file: str
    size: int | None


@dataclass(frozen=True)
class CheckedHeader:
    """The header of one weight file. `error` says what is wrong with it; the other fields are set only for a valid one.

    `dtypes` maps a safetensors dtype to its number of values; `nbytes` is the size of the data, `header` the size of
    everything before the data.
    """

    name: str
    error: str = ""
    dtypes: Mapping[str, int] = field(default_factory=dict)
    nbytes: int = 0
    header: int = 0


@dataclass(frozen=True)
class CheckedHeaders:
    """The headers that one question asks about, and the number of layers in each stack, largest first."""

    files: tuple[CheckedHeader, ...]
    layers: tuple[int, ...] = ()


@dataclass(frozen=True)
class ShardIndex:
    """A shard index: the names of the shards, and the number of layers in each stack, largest first."""

    names: tuple[str, ...] = ()
    layers: tuple[int, ...] = ()
    error: str = ""


@dataclass(frozen=True)
class AdapterConfig:
    """The facts in an adapter_config.json."""

    base_model: str = ""
    kind: str = ""
    error: str = ""


@dataclass(frozen=True)
class AnswersPart:
    """A part of the questions in tables of answers, with the counts of all; or the `error` of table `file`."""

    counts: Mapping[str, int] = field(default_factory=dict)
    questions: tuple[Mapping[str, object], ...] = ()
    error: Literal["", "unreadable", "too-large"] = ""
    file: int = 0


@dataclass(frozen=True)
class TableParts:
    """The places in a table of samples, as (start, end) in bytes, of the columns that say how it was scored.

    `error` says what is wrong with the table; it continues a sentence that begins with its name.
    """

    parts: tuple[tuple[int, int], ...] = ()
    error: str = ""


@dataclass(frozen=True)
class SampleSums:
    """The totals of a table of samples; see `leaderboard.sample_checks.SampleTotals`. `error` as in TableParts."""

    rows: int = 0
    questions: Mapping[str, int] = field(default_factory=dict)
    metrics: Mapping[str, MetricSum] = field(default_factory=dict)
    scores_differ: int = 0
    error: str = ""


@dataclass(frozen=True)
class PredictionCells:
    """The rows of a file of predictions, each with its number; or the `error`, the code of a reason, and its `words`.

    `bad_lines` are the numbers of the first lines that are not rows, `bad_count` counts all of them.
    """

    rows: tuple[tuple[int, tuple[object, ...]], ...] = ()
    bad_lines: tuple[int, ...] = ()
    bad_count: int = 0
    error: str = ""
    words: Mapping[str, object] = field(default_factory=dict)
