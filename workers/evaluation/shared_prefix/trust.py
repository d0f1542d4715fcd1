"""Compares the engine's answers with the harness's: which requests are compared, and whether they agree; pure."""

from __future__ import annotations

import math
import random
from collections import Counter
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, zip_longest

from workers.evaluation.shared_prefix.tree import AnswerRequest, ScoredAnswer

HARNESS = "harness"
SHARED_PREFIX = "shared-prefix"
"""Names of the engines."""

VERSION = 1
"""The version of the computation; a change that may change numbers raises it."""
COMPARED = 64
"""Requests that are computed both ways before the others; fewer if there are fewer."""
COMPARED_STRATA = 256
"""Kinds of requests up to which one of each kind is compared, even if these are more than COMPARED."""
COMPARED_EVERY = 500
"""One in COMPARED_EVERY requests is computed both ways while the engine works."""
TOLERANCE = 1e-4
"""The largest difference of a log-likelihood in float32; beyond 100 it grows in proportion to the log-likelihood."""
SPREAD_FACTOR = 3
"""Half precision: the engine's differences in relation to the harness's own between two batch sizes."""

LOGIT_SIZE = 16
"""A usual logit. Half precision rounds it to a multiple of this times its epsilon, which is no fault of the engine."""


class OfferedAnswersDiffer(Exception):
    """Answers that another machine uploaded differ from those that this one computes."""


@dataclass
class GenerationRecord:
    """How texts were generated: a part of the results.

    `answers`: those by the engine. `compared` of them were computed again; these have `near_ties`, tokens that
    another batch may choose otherwise, and a token's score is at most `largest_distance` below the best one. `reasons`
    say why other answers were generated the harness's way.
    """

    answers: int = 0
    compared: int = 0
    near_ties: int = 0
    largest_distance: float = 0.0
    reasons: tuple[str, ...] = ()


@dataclass(frozen=True)
class EngineRecord:
    """How log-likelihoods were computed: a part of the results. `reason` says why the engine was not used.

    `tokens` is the number that the harness computes for the requests that the engine took, `computed` the engine's.
    `generation` is about texts, if the suite has such tasks.
    """

    engine: str
    version: int = VERSION
    compared: int = 0
    largest_difference: float = 0.0
    tokens: int = 0
    computed: int = 0
    reason: str = ""
    generation: GenerationRecord | None = None


def add_up(records: Sequence[EngineRecord]) -> EngineRecord | None:
    """The record of an evaluation that several copies of a model computed together; None if there are no records."""
    if not records:
        return None
    generations = [record.generation for record in records if record.generation is not None]
    counts = Counter(record.reason for record in records)
    used = [record for record in records if record.engine != HARNESS]
    reasons = [
        reason if count == len(records) else f"{count} of {len(records)} copies: {reason}"
        for reason, count in counts.items()
        if reason
    ]
    return EngineRecord(
        (used or records)[0].engine,
        compared=sum(record.compared for record in records),
        largest_difference=max(record.largest_difference for record in records),
        tokens=sum(record.tokens for record in used),
        computed=sum(record.computed for record in used),
        reason="; ".join(reasons),
        generation=_add_up_generations(generations) if generations else None,
    )


def _add_up_generations(records: Sequence[GenerationRecord]) -> GenerationRecord:
    return GenerationRecord(
        sum(record.answers for record in records),
        sum(record.compared for record in records),
        sum(record.near_ties for record in records),
        max(record.largest_distance for record in records),
        tuple(dict.fromkeys(reason for record in records for reason in record.reasons)),
    )


def choose_sample(requests: Sequence[AnswerRequest], kinds: Sequence[Hashable]) -> list[int]:
    """Indexes of requests to compare: of each kind in turn, in an order that is the same each time.

    Requests that read the same tokens, as those for the ten letters of a question, come together: the harness computes
    them at once.
    """
    by_kind: dict[Hashable, list[int]] = {}
    by_input: dict[bytes, list[int]] = {}
    for index, kind in enumerate(kinds):
        by_kind.setdefault((kind, min(requests[index].answer_length, 4)), []).append(index)
        by_input.setdefault(requests[index].input_bytes(), []).append(index)
    order = random.Random(0)  # noqa: S311 - nothing secret
    for indexes in by_kind.values():
        order.shuffle(indexes)
    in_turn = (index for index in chain.from_iterable(zip_longest(*by_kind.values())) if index is not None)
    chosen: set[int] = set()
    for count, index in enumerate(in_turn):
        if len(chosen) >= COMPARED and count >= min(len(by_kind), COMPARED_STRATA):
            break
        chosen.update(by_input[requests[index].input_bytes()])
    return sorted(chosen)


class Comparison:
    """Answers of the harness, and whether those of the engine agree with them.

    `epsilon` is None in float32: every answer must agree within `tolerance`. In half precision the harness's own
    answers depend on the batch, so `repeated`, its answers to the same requests with another batch size, is the
    measure; `epsilon` is the distance of 1.0 to the next number of that dtype.
    """

    def __init__(
        self,
        expected: Mapping[int, ScoredAnswer],
        repeated: Mapping[int, ScoredAnswer] | None = None,
        epsilon: float | None = None,
        tolerance: float = TOLERANCE,
    ) -> None:
        self.expected = dict(expected)
        self.epsilon, self.tolerance = epsilon, tolerance
        self.differences: dict[int, float] = {}
        self._own_spread = percentile(
            [abs(expected[index][0] - answer[0]) for index, answer in (repeated or {}).items()]
        )

    @property
    def largest_difference(self) -> float:
        """The largest difference of a log-likelihood, of those that are numbers."""
        return max((abs(value) for value in self.differences.values() if math.isfinite(value)), default=0.0)

    def disagreement(self, answers: Mapping[int, ScoredAnswer]) -> str:
        """How `answers` disagree with the expected ones, in half precision all answers so far; "" if they agree."""
        for index in answers.keys() & self.expected.keys():
            (expected, expected_greedy), (actual, greedy) = self.expected[index], answers[index]
            self.differences[index] = actual - expected
            if self.epsilon is not None:
                continue
            if not abs(actual - expected) <= self.tolerance * max(1.0, abs(expected) / 100):
                return f"a log-likelihood is {actual:.6f} instead of {expected:.6f}"
            if greedy != expected_greedy:
                return "an answer is the most likely one in one of the two ways only"
        return self._disagreement_of_all() if self.epsilon is not None and self.differences else ""

    def _disagreement_of_all(self) -> str:
        assert self.epsilon is not None
        size = sum(abs(self.expected[index][0]) for index in self.differences) / len(self.differences)
        own = max(self._own_spread, self.epsilon * size)
        spread = percentile([abs(difference) for difference in self.differences.values()])
        mean = sum(self.differences.values()) / len(self.differences)
        if not spread <= SPREAD_FACTOR * max(own, self.epsilon * LOGIT_SIZE):
            return f"log-likelihoods differ by {spread:.4f}, and by {own:.4f} between two batch sizes"
        if not abs(mean) <= own:
            return f"log-likelihoods differ by {mean:.4f} on average"
        return ""


def percentile(values: Sequence[float], share: float = 0.95) -> float:
    """The value that `share` of the values do not exceed; 0 if there are no values."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else 0.0
