"""The requests that the engine computes in one call, with less memory at once where memory runs out."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Sequence

import torch

from workers.evaluation.shared_prefix.admission import Admission
from workers.evaluation.shared_prefix.engine import PrefixEngine, out_of_memory_key
from workers.evaluation.shared_prefix.failures import is_out_of_memory
from workers.evaluation.shared_prefix.journal import AnswerJournal
from workers.evaluation.shared_prefix.plan import Budget, Plan, make_plan
from workers.evaluation.shared_prefix.tree import AnswerRequest, ScoredAnswer

log = logging.getLogger(__name__)

MIN_CACHED_SEQUENCES = 4
"""Sequences that fit into the cache at least: examples, a question, its answers, and one more level."""


class EngineWork:
    """Requests by index, and the engine that computes them with less memory at once if it runs out of memory."""

    def __init__(
        self, admission: Admission, batch_size: int, requests: dict[int, AnswerRequest], journal: AnswerJournal
    ) -> None:
        assert admission.engine is not None
        self.engine: PrefixEngine = admission.engine
        self.journal = journal
        self.requests = requests
        self.batch_size = batch_size
        self.out_of_memory = False
        self.computed = 0
        """Tokens that the plans so far compute."""
        self.longest = max((request.input_length for request in requests.values()), default=0)
        cached = max(batch_size, MIN_CACHED_SEQUENCES)
        self.budget = Budget(cached * self.longest, batch_size * self.longest)
        self.trees_in_rows = admission.trees_in_rows and (admission.window is None or self.longest < admission.window)

    def tokens_of(self, indexes: Iterable[int]) -> int:
        """Tokens of these requests as sequences of their own."""
        return sum(self.requests[index].input_length for index in indexes)

    def plan(self, indexes: Iterable[int]) -> Plan:
        """The plan of these requests."""
        requests = [self.requests[index] for index in indexes]
        return make_plan(requests, self.budget, trees_in_rows=self.trees_in_rows)

    def answers(self, indexes: Sequence[int]) -> Iterator[tuple[int, ScoredAnswer]]:
        """The answers to these requests, each with its index. Out of memory: the rest with half the budget.

        If a single sequence is too much, `out_of_memory` is set, and answers are missing.
        """
        missing = list(indexes)
        while missing:
            plan = self.plan(missing)
            self.computed += plan.tokens
            answered: set[int] = set()
            out_of_memory = False
            try:
                for place, answer in self.engine.answers(plan, self.journal):
                    answered.add(place)
                    yield missing[place], answer
            except (MemoryError, RuntimeError) as error:
                if not is_out_of_memory(error):
                    raise
                out_of_memory = True
                if self.journal.is_open and self.journal.get(out_of_memory_key(plan)) is None:
                    self.journal.add(out_of_memory_key(plan), True)
            if out_of_memory:  # not while the error is handled, whose frames hold caches
                if self.budget.step_tokens < self.longest:
                    self.out_of_memory = True
                    return
                self.budget = Budget(self.budget.cache_tokens // 2, self.budget.step_tokens // 2)
                log.warning("out of memory: the rest is computed with %d tokens at once", self.budget.step_tokens)
                torch.cuda.empty_cache()
            missing = [index for place, index in enumerate(missing) if place not in answered]
