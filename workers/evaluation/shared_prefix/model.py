"""The harness's `hf` model, which computes shared beginnings of log-likelihood requests once.

The harness makes the requests and scores the answers as always. What the engine does not take, or computes otherwise
than the harness on this very model, is computed the harness's way, and the log says why.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import torch
from lm_eval.models.huggingface import HFLM
from tqdm import tqdm

from workers.evaluation.shared_prefix import trust
from workers.evaluation.shared_prefix.admission import Admission, examine
from workers.evaluation.shared_prefix.batches import (
    BatchReplay,
    answer_batches,
    answer_key,
    read_texts,
    text_batches,
    text_key,
)
from workers.evaluation.shared_prefix.encoding import BatchEncoder
from workers.evaluation.shared_prefix.engine import Numerics, PrefixEngine, out_of_memory_key
from workers.evaluation.shared_prefix.failures import is_out_of_memory
from workers.evaluation.shared_prefix.generation_requests import generate_until
from workers.evaluation.shared_prefix.journal import AnswerJournal, read_scores
from workers.evaluation.shared_prefix.plan import Budget, Plan, make_plan, separate_tokens
from workers.evaluation.shared_prefix.portable_answers import PortableAnswers
from workers.evaluation.shared_prefix.tree import AnswerRequest, ScoredAnswer

HARNESS = "harness"
SHARED_PREFIX = "shared-prefix"
MIN_CACHED_SEQUENCES = 4
"""Sequences that fit into the cache at least: examples, a question, its answers, and one more level."""

TokenRequest = tuple[Any, list[int], list[int]]
"""A request as the harness has it: its texts (None: its answer is not reported), the context's and answer's tokens."""

log = logging.getLogger(__name__)


class SharedPrefixModel(HFLM):  # type: ignore[misc]  # the harness has no types
    """The harness's `hf` model with the argument `engine`: `shared-prefix`, or `harness` for the harness's way."""

    def __init__(self, *arguments: Any, engine: str = HARNESS, **options: Any) -> None:
        if engine not in (HARNESS, SHARED_PREFIX):
            raise ValueError(f"the engine is {engine!r}, and must be {HARNESS} or {SHARED_PREFIX}")
        super().__init__(*arguments, **options)
        self.engine = engine
        self.engine_record: trust.EngineRecord | None = None
        """How the requests so far were computed; None if the engine was not asked to."""
        self.journal = AnswerJournal()
        """Answers of an earlier attempt, and those of this one for a later."""
        self.portable_answers = PortableAnswers()
        """Answers by request, for a worker on another machine and of such workers."""
        self._task_names: list[str] = []
        self._encoder: BatchEncoder | None = None

    def loglikelihood(self, requests: Any, disable_tqdm: bool = False) -> Any:
        """Compute log-likelihoods; the names of the requests' tasks tell which to compare."""
        self._task_names = [str(request.task_name) for request in requests]
        if self.engine != HARNESS and self.backend == "causal" and self.tokenizer.is_fast:
            one = super().tok_encode
            self._encoder = BatchEncoder((request.args for request in requests), one, self._encode_texts)
        try:
            return super().loglikelihood(requests, disable_tqdm=disable_tqdm)
        finally:
            self._task_names, self._encoder = [], None

    def tok_encode(self, string: str, *arguments: Any, **options: Any) -> list[int]:
        """The tokens of a text, which may have been encoded together with others."""
        if self._encoder is None or arguments or options:
            tokens: list[int] = super().tok_encode(string, *arguments, **options)
            return tokens
        return self._encoder.encode(string)

    def _encode_texts(self, texts: list[str]) -> list[list[int]]:
        """The tokens of each text, with the special tokens that the harness adds to it."""
        beginning = self.tokenizer.decode(self.prefix_token_id)
        adds = {} if self.add_bos_token is None else {"add_special_tokens": self.add_bos_token}
        encoded: dict[str, list[int]] = {}
        for begun, options in ((False, adds), (True, {"add_special_tokens": False})):
            chosen = [text for text in texts if text.startswith(beginning) == begun]
            if chosen:
                encoded |= dict(zip(chosen, self.tokenizer(chosen, **options)["input_ids"], strict=True))
        return [encoded[text] for text in texts]

    def generate_until(self, requests: Any, disable_tqdm: bool = False) -> Any:
        """Generate texts, by the engine as far as it gives the model's own answers."""
        if self.engine == HARNESS:
            return self._harness_texts(requests, disable_tqdm=disable_tqdm)
        texts, record = generate_until(
            self, requests, lambda chosen: self._harness_texts(chosen, disable_tqdm=disable_tqdm)
        )
        self.engine_record = replace(self.engine_record or trust.EngineRecord(SHARED_PREFIX), generation=record)
        return texts

    def _loglikelihood_tokens(
        self, requests: Sequence[TokenRequest], disable_tqdm: bool = False, override_bs: int | None = None
    ) -> list[ScoredAnswer]:
        if self.engine == HARNESS or override_bs is not None or not requests:
            return self.harness_way(requests, disable_tqdm=disable_tqdm, override_bs=override_bs)
        run = EngineRun(self, requests, self._task_names, disable_tqdm=disable_tqdm)
        answers = run.answers()
        generation = self.engine_record.generation if self.engine_record is not None else None
        self.engine_record = replace(run.record, generation=generation)
        return answers

    def harness_way(
        self, requests: Sequence[TokenRequest], disable_tqdm: bool = False, override_bs: int | None = None
    ) -> list[ScoredAnswer]:
        """Compute `requests` the harness's way, or take them from the journal."""
        compute = super()._loglikelihood_tokens
        if not (self.journal.is_open and isinstance(self.batch_size, int)):
            answers: list[ScoredAnswer] = compute(requests, disable_tqdm=disable_tqdm, override_bs=override_bs)
            return answers
        by_context = self.backend == "causal" and bool(self.logits_cache)
        batches = answer_batches(requests, self.batch_size, by_context=by_context)

        def report(index: int, answer: ScoredAnswer) -> None:
            if requests[index][0] is not None:
                self.cache_hook.add_partial("loglikelihood", requests[index][0], answer)

        replay = BatchReplay(
            self.journal,
            compute=lambda batch: compute([requests[index] for index in batch], disable_tqdm=True),
            recompute=lambda batch: compute([(None, *requests[index][1:]) for index in batch], disable_tqdm=True),
            read=read_scores,
            report=report,
        )
        found = replay.answers(batches, [answer_key(requests, batch, by_context=by_context) for batch in batches])
        return [found[index] for index in range(len(requests))]

    def _harness_texts(self, requests: Sequence[Any], *, disable_tqdm: bool) -> list[str]:
        """Generate texts the harness's way, or take them from the journal."""
        generate = super().generate_until
        if not (self.journal.is_open and isinstance(self.batch_size, int)):
            texts: list[str] = generate(requests, disable_tqdm=disable_tqdm)
            return texts
        asked = [request.args for request in requests]
        batches = text_batches(asked, self.batch_size, lambda context: len(self.tok_encode(context)))

        def recompute(batch: list[int]) -> list[str]:
            texts: list[str] = generate([requests[index] for index in batch], disable_tqdm=True)
            self.withdraw(len(batch))
            return texts

        replay = BatchReplay(
            self.journal,
            compute=lambda batch: generate([requests[index] for index in batch], disable_tqdm=True),
            recompute=recompute,
            read=read_texts,
            report=lambda index, text: self.cache_hook.add_partial("generate_until", asked[index], text),
        )
        found = replay.answers(batches, [text_key(asked, batch) for batch in batches])
        return [found[index] for index in range(len(requests))]

    def harness_answers(
        self, requests: Sequence[TokenRequest], batch_size: int, *, report: bool = False
    ) -> list[ScoredAnswer]:
        """Compute requests the harness's way, with its cache of logits only where that gathers the right ones.

        It gathers others where two splits of one sequence meet.
        """
        lengths: dict[tuple[int, ...], set[int]] = {}
        for _, context, answer in requests:
            lengths.setdefault((*context, *answer[:-1]), set()).add(len(answer))
        cached = self.logits_cache and all(len(splits) == 1 for splits in lengths.values())
        if not report:
            requests = [(None, context, answer) for _, context, answer in requests]
        with self.settings(logits_cache=cached, batch_size_per_gpu=batch_size):
            return self.harness_way(requests, disable_tqdm=True)

    def withdraw(self, count: int) -> None:
        """Take back `count` reported answers: they are computed and reported again."""

    @contextmanager
    def settings(self, **settings: Any) -> Iterator[None]:
        """Change attributes of the model inside the block."""
        before = {name: getattr(self, name) for name in settings}
        self.__dict__ |= settings
        try:
            yield
        finally:
            self.__dict__ |= before


class EngineRun:
    """The computation of the harness's requests in one call, by the engine as far as it can."""

    def __init__(
        self, model: SharedPrefixModel, requests: Sequence[TokenRequest], tasks: Sequence[str], *, disable_tqdm: bool
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
        """Compute what the engine takes. Return why its answers are not to be used, or nothing."""
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
            return "all sequences are longer than its position embeddings' limit"
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
        every = (
            AnswerRequest.from_pair(context, answer, self.model.max_length) for _, context, answer in self.requests
        )
        return {
            index: request
            for index, request in enumerate(every)
            if request.context
            and request.answer
            and (admission.longest_input is None or request.input_length <= admission.longest_input)
        }

    def _kinds(self, work: EngineWork, admission: Admission) -> list[tuple[object, ...]]:
        """The kind of each request that the engine takes: of each kind some are compared."""
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
        """Compute some requests both ways, in half precision in other batches of the harness, too; return what differs.

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
        """Tokens of the plans so far."""
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
