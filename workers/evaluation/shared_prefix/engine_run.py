"""Computes log-likelihood requests by the engine, as long as its answers agree with the harness's."""

from __future__ import annotations

import logging
import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import torch
from tqdm import tqdm

from workers.evaluation.shared_prefix import trust
from workers.evaluation.shared_prefix.admission import Admission, examine
from workers.evaluation.shared_prefix.batches import split_differently
from workers.evaluation.shared_prefix.engine import Numerics
from workers.evaluation.shared_prefix.engine_work import MIN_CACHED_SEQUENCES, EngineWork
from workers.evaluation.shared_prefix.failures import is_out_of_memory
from workers.evaluation.shared_prefix.plan import separate_tokens
from workers.evaluation.shared_prefix.tree import AnswerRequest, ScoredAnswer
from workers.evaluation.shared_prefix.trust import HARNESS, SHARED_PREFIX

log = logging.getLogger(__name__)

TokenRequest = tuple[Any, list[int], list[int]]
"""A request as the harness has it: its texts (None: its answer is not reported), the context's and answer's tokens."""


class EngineRun:
    """The computation of the requests in one call of a `SharedPrefixModel`, by the engine as far as it can."""

    def __init__(
        self, model: Any, requests: Sequence[TokenRequest], tasks: Sequence[str], *, disable_tqdm: bool
    ) -> None:
        self.model = model
        self.requests = requests
        self.tasks = tasks if len(tasks) == len(requests) else [""] * len(requests)
        self.disable_tqdm = disable_tqdm or model.rank != 0
        self.record = trust.EngineRecord(HARNESS)
        self.out_of_memory = False
        self._answers: dict[int, ScoredAnswer] = {}
        self._reported: set[int] = set()

    def answers(self) -> list[ScoredAnswer]:
        """The answers to all requests, in order."""
        mark = self.model.portable_answers.own.mark()
        reason = self._use_engine()
        if reason:
            self.model.portable_answers.own.cut(mark)
            log.warning("log-likelihoods are computed the harness's way: %s", reason)
            self.record = trust.EngineRecord(
                HARNESS, compared=self.record.compared, largest_difference=self.record.largest_difference, reason=reason
            )
            self._answers.clear()
            self._withdraw()
        elif self.out_of_memory:
            rest = f"{len(self.requests) - len(self._answers)} of {len(self.requests)} log-likelihoods"
            self.record = replace(self.record, reason=f"out of memory: {rest} are computed the harness's way")
        self._use_harness()
        return [self._answers[index] for index in range(len(self.requests))]

    def _use_engine(self) -> str:
        """Compute the requests that the engine takes. Return why its answers must not be used; "" if they may be."""
        if self.model.backend != "causal":
            return "it has an encoder"
        if self.model.world_size > 1 and not isinstance(self.model.batch_size, int):
            return "copies choose their batch size together"  # and would wait for one that needs no batch size
        numerics = Numerics(self.model.softmax_dtype, self.model.mixed_precision_dtype)
        try:
            admission = examine(self.model.model, self.model.device, numerics)
        except (MemoryError, RuntimeError) as error:
            if not is_out_of_memory(error):
                raise
            self.out_of_memory = True
        if self.out_of_memory:  # not while the error is handled, whose frames hold caches
            torch.cuda.empty_cache()
            return "out of memory while the model was examined"
        if admission.engine is None:
            return admission.reason
        work = EngineWork(admission, self._batch_size(), self._taken(admission), self.model.journal)
        if not work.requests:
            return "it takes none of the sequences"
        chosen = trust.choose_sample(list(work.requests.values()), self._kinds(work, admission))
        sample = [list(work.requests)[place] for place in chosen]
        tokens = separate_tokens(work.requests.values(), once_per_input=self.model.logits_cache)
        if tokens - work.plan(work.requests).tokens <= work.tokens_of(sample):
            return "the requests share too little"
        comparison, disagreement = self.compare(sample, work)
        if not disagreement:
            disagreement = self._run(work, comparison)
        self.record = trust.EngineRecord(
            SHARED_PREFIX,
            compared=len(comparison.differences),
            largest_difference=comparison.largest_difference,
            tokens=tokens,
            computed=work.computed,
        )
        log.info("log-likelihoods by shared prefix: %d tokens computed instead of %d", work.computed, tokens)
        return disagreement

    def _batch_size(self) -> int:
        size = self.model.batch_size
        return size if isinstance(size, int) else int(self.model._detect_batch_size())

    def _taken(self, admission: Admission) -> dict[int, AnswerRequest]:
        """The requests that the engine takes, by their index."""
        left = split_differently(self.requests) if self.model.logits_cache else set()
        every = (
            AnswerRequest.from_pair(context, answer, self.model.max_length) for _, context, answer in self.requests
        )
        return {
            index: request
            for index, request in enumerate(every)
            if index not in left
            and request.context
            and request.answer
            and (admission.longest_input is None or request.input_length <= admission.longest_input)
        }

    def _kinds(self, work: EngineWork, admission: Admission) -> list[tuple[object, ...]]:
        """The kind of each request that the engine takes: some requests of each kind are compared."""
        window = admission.window
        return [
            (
                self.tasks[index],
                len(self.requests[index][1]) > len(request.context),
                window is not None and request.input_length >= window,
            )
            for index, request in work.requests.items()
        ]

    def compare(self, sample: Sequence[int], work: EngineWork) -> tuple[trust.Comparison, str]:
        """Compute some requests both ways (in half precision, by the harness in two batch sizes); return what differs.

        These requests are reported each time: a slow model makes visible progress while it is compared.
        """
        requests = [self.requests[index] for index in sample]
        answers = self.model.harness_answers(requests, work.batch_size, report=True)
        self.model.withdraw(len(sample))
        comparison = trust.Comparison(dict(zip(sample, answers, strict=True)))
        dtype = self.model.softmax_dtype or self.model.model.dtype
        if not dtype == self.model.model.dtype == torch.float32:
            other_size = 1 if work.batch_size > 1 else MIN_CACHED_SEQUENCES
            repeated = dict(zip(sample, self.model.harness_answers(requests, other_size, report=True), strict=True))
            self.model.withdraw(len(sample))
            comparison = trust.Comparison(comparison.expected, repeated, torch.finfo(self.model.model.dtype).eps)
        for index, answer in work.answers(sample):
            self._answers[index] = answer
            self._report(index, comparison.expected[index])  # the engine's own may be wrong
        return comparison, comparison.disagreement(self._answers)

    def _run(self, work: EngineWork, comparison: trust.Comparison) -> str:
        """Compute the requests and report their answers, until an answer disagrees with the harness's; return why."""
        with tqdm(
            total=len(self.requests), disable=self.disable_tqdm, desc="Running loglikelihood requests by shared prefix"
        ) as bar:
            bar.update(len(self._answers))
            for index, answer in work.answers([index for index in work.requests if index not in self._answers]):
                self._answers[index] = answer
                is_due = len(self._answers) % trust.COMPARED_EVERY == 0 or not math.isfinite(answer[0])
                if is_due and index not in comparison.expected:
                    comparison.expected[index] = self.model.harness_answers([self.requests[index]], 1)[0]
                if index in comparison.expected and (disagreement := comparison.disagreement({index: answer})):
                    return disagreement
                self._report(index, answer)
                bar.update(1)
        self.out_of_memory = work.out_of_memory
        return ""

    def _report(self, index: int, answer: ScoredAnswer) -> None:
        texts = self.requests[index][0]
        if texts is not None and index not in self._reported:
            self._reported.add(index)
            self.model.cache_hook.add_partial("loglikelihood", texts, answer)

    def _withdraw(self) -> None:
        self.model.withdraw(len(self._reported))
        self._reported.clear()

    def _use_harness(self) -> None:
        """Compute the requests without an answer the harness's way; it reports those that are not reported yet."""
        rest = [index for index in range(len(self.requests)) if index not in self._answers]
        requests = [
            (None if index in self._reported else texts, context, answer)
            for index in rest
            for texts, context, answer in [self.requests[index]]
        ]
        if rest:
            settings = {"batch_size_per_gpu": 1} if self.out_of_memory else {}
            with self.model.settings(**settings):
                answers = self.model.harness_way(requests, disable_tqdm=self.disable_tqdm)
            self._answers |= dict(zip(rest, answers, strict=True))
