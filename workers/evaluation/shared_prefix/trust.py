"""Compares the engine's answers with the harness's: which requests are compared, and whether they agree; pure."""

from __future__ import annotations

import math
import random
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, islice, zip_longest

from workers.evaluation.shared_prefix.tree import AnswerRequest, ScoredAnswer

VERSION = 1
"""The version of the computation: it grows when numbers may change."""
COMPARED = 64
"""Requests that are computed both ways before the others, if there are so many."""
COMPARED_STRATA = 256
"""Kinds of requests up to which one of each kind is compared, even if these are more than COMPARED."""
COMPARED_EVERY = 500
"""One in so many requests is computed both ways while the engine works."""
TOLERANCE = 1e-4
"""The largest difference of a log-likelihood in float32; in relation to 100 for log-likelihoods beyond it."""
SPREAD_FACTOR = 3
"""Half precision: the engine's differences in relation to the harness's own between two batch sizes."""

LOGIT_SIZE = 16
"""A usual logit. Half precision rounds it to a multiple of this times its epsilon, which is no fault of the engine."""


@dataclass
class GenerationRecord:
    """How texts were generated: a part of the results.

    `answers`: those by continuous batching. `compared` of them were computed again; these have `near_ties`, tokens that
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

    `generation` is about texts, if the suite has such tasks.
    """

    engine: str
    version: int = VERSION
    compared: int = 0
    largest_difference: float = 0.0
    reason: str = ""
    generation: GenerationRecord | None = None


def choose_sample(requests: Sequence[AnswerRequest], kinds: Sequence[Hashable]) -> list[int]:
    """Indexes of requests to compare: of each kind in turn, in an order that is the same each time."""
    by_kind: dict[Hashable, list[int]] = {}
    for index, kind in enumerate(kinds):
        by_kind.setdefault((kind, min(requests[index].answer_length, 4)), []).append(index)
    order = random.Random(0)  # noqa: S311 - nothing secret
    for indexes in by_kind.values():
        order.shuffle(indexes)
    in_turn = chain.from_iterable(zip_longest(*by_kind.values()))
    count = max(COMPARED, min(len(by_kind), COMPARED_STRATA))
    return sorted(islice((index for index in in_turn if index is not None), count))


class Comparison:
    """Answers of the harness, and whether those of the engine agree with them.

    `epsilon` is None in float32: every answer must agree. In half precision the harness's own answers depend on the
    batch, so `repeated`, its answers to the same requests with batch size 1, is the measure; `epsilon` is the
    distance of 1.0 to the next number of that dtype.
    """

    def __init__(
        self,
        expected: Mapping[int, ScoredAnswer],
        repeated: Mapping[int, ScoredAnswer] | None = None,
        epsilon: float | None = None,
    ) -> None:
        self.expected = dict(expected)
        self.epsilon = epsilon
        self.differences: dict[int, float] = {}
        self._own_spread = percentile(
            [abs(expected[index][0] - answer[0]) for index, answer in (repeated or {}).items()]
        )

    @property
    def largest_difference(self) -> float:
        """The largest difference of a log-likelihood, of those that are numbers."""
        return max((abs(value) for value in self.differences.values() if math.isfinite(value)), default=0.0)

    def disagreement(self, answers: Mapping[int, ScoredAnswer]) -> str:
        """What is wrong with `answers` (those that are compared), or with all so far in half precision; or nothing."""
        for index in answers.keys() & self.expected.keys():
            (expected, expected_greedy), (actual, greedy) = self.expected[index], answers[index]
            self.differences[index] = actual - expected
            if self.epsilon is not None:
                continue
            if not abs(actual - expected) <= TOLERANCE * max(1.0, abs(expected) / 100):
                return f"a log-likelihood is {actual:.6f} instead of {expected:.6f}"
            if greedy != expected_greedy:
                return "an answer is the most likely one in one of the two ways only"
        return self._disagreement_of_all() if self.epsilon is not None and self.differences else ""

    def _disagreement_of_all(self) -> str:
        assert self.epsilon is not None
        size = sum(abs(self.expected[index][0]) for index in self.differences) / len(self.differences)
        own = max(self._own_spread, self.epsilon * max(size, LOGIT_SIZE))
        spread = percentile([abs(difference) for difference in self.differences.values()])
        mean = sum(self.differences.values()) / len(self.differences)
        if not spread <= SPREAD_FACTOR * own:
            return f"log-likelihoods differ by {spread:.4f}, and by {own:.4f} between two batch sizes"
        if not abs(mean) <= own:
            return f"log-likelihoods differ by {mean:.4f} on average"
        return ""


def percentile(values: Sequence[float], share: float = 0.95) -> float:
    """The value that `share` of the values do not exceed; 0 of none."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else 0.0
