"""The result of `steward reproduce`: the verdict, the samples by verdict, and the first sample that differs."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field

from leaderboard.steward_block import StewardBlock
from workers.jobs.sample_comparison import SampleVerdict


@dataclass(frozen=True)
class SampleSide:
    """One side of a sample: its prompt, with the tokens that the model's tokenizer makes of it, and the answers."""

    prompt: str
    tokens: tuple[int, ...]
    answers: tuple[str, ...]
    """For each choice its log-likelihood; or the generated text."""
    metrics: str = ""
    """JSON of the sample's metrics."""


@dataclass(frozen=True)
class DifferentSample:
    """The first sample that differs, as it was published and as it is here."""

    task: str
    doc_id: int
    verdict: SampleVerdict
    choices: tuple[str, ...]
    published: SampleSide
    here: SampleSide


@dataclass(frozen=True)
class Reproduction:
    """The comparison of the questions that ran again; `counts` are samples by verdict."""

    block: StewardBlock
    verdict: SampleVerdict
    counts: Mapping[SampleVerdict, int]
    first: DifferentSample | None
    reasons: tuple[str, ...]
    largest_difference: float = 0.0
    replayed: bool = False
    left_out: Mapping[str, str] = field(default_factory=dict)
    """Task → why its prompts cannot be asked again, or what else is not shown."""

    @property
    def samples(self) -> int:
        """Number of samples that were compared."""
        return sum(self.counts.values())


def reproduction_json(reproduction: Reproduction) -> str:
    """The reproduction as one JSON object."""
    block = reproduction.block
    return json.dumps(
        {
            "attempt": block.attempt,
            "model": block.model,
            "revision": block.revision,
            "verdict": reproduction.verdict,
            "samples": reproduction.samples,
            "counts": reproduction.counts,
            "largest_difference": reproduction.largest_difference,
            "reasons": reproduction.reasons,
            "replayed": reproduction.replayed,
            "left_out": reproduction.left_out,
            "first": asdict(reproduction.first) if reproduction.first is not None else None,
        }
    )
