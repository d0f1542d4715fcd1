"""What can be asked of the probe, what each question may cost, and the shapes of the answers that are no facts yet."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

Kind = Literal["config", "tokenizer", "index", "headers", "adapter"]

MIB = 2**20
TOO_COSTLY: Mapping[str, str] = {"state": "too-costly"}
"""The answer where the fork died of the question, or did not come to an end."""
STARVED: Mapping[str, str] = {"state": "starved"}
"""The answer where the time was over before the fork had got its share of the processor: that tells of our machine."""
READY = b"ready\n"
"""The probe's first line: its imports are done."""
SHARE = 0.25
"""The part of its seconds of the processor that a question must have used up to be called too costly."""
INDEX_FILE = "model.safetensors.index.json"


@dataclass(frozen=True)
class ProbeLimits:
    """What one question may take: bytes beyond what the imports have taken, seconds of the processor, and in all.

    Nothing in a fork waits for anything but the processor, so the seconds in all are many: they are for busy machines.
    """

    memory: int
    cpu: int
    wall: float

    def starves(self, used: float) -> bool:
        """Whether a fork that came to no end in `wall` seconds got too little of the processor to be blamed."""
        return used < SHARE * self.cpu


LIMITS: Mapping[Kind, ProbeLimits] = {
    "config": ProbeLimits(256 * MIB, cpu=2, wall=60),
    # The largest vocabularies that there are (256,000 tokens, 33 MB of JSON) take 500 MB and 3 seconds.
    "tokenizer": ProbeLimits(1_024 * MIB, cpu=10, wall=90),
    "index": ProbeLimits(384 * MIB, cpu=5, wall=60),
    "headers": ProbeLimits(384 * MIB, cpu=5, wall=60),
    "adapter": ProbeLimits(128 * MIB, cpu=2, wall=60),
}


@dataclass(frozen=True)
class WeightFileHead:
    """The start of one weight file: its bytes are in the folder under `file`; `size` is that of the whole, in bytes."""

    name: str
    file: str
    size: int | None


@dataclass(frozen=True)
class CheckedHeader:
    """One header. `error` says what is wrong with it; the rest is only known of one that is right.

    `dtypes` maps a safetensors dtype to the number of values stored so; `nbytes` is the size of the data, `header` that
    of everything before it.
    """

    name: str
    error: str = ""
    dtypes: Mapping[str, int] = field(default_factory=dict)
    nbytes: int = 0
    header: int = 0


@dataclass(frozen=True)
class CheckedHeaders:
    """The headers that were asked about, and the number of layers in each stack of them, largest first."""

    files: tuple[CheckedHeader, ...]
    layers: tuple[int, ...] = ()


@dataclass(frozen=True)
class ShardIndex:
    """The index of the shards: their names, and the number of layers in each stack, largest first."""

    names: tuple[str, ...] = ()
    layers: tuple[int, ...] = ()
    error: str = ""


@dataclass(frozen=True)
class AdapterConfig:
    """adapter_config.json."""

    base_model: str = ""
    kind: str = ""
    error: str = ""
