"""The harness's `hf` model, which computes shared beginnings of log-likelihood requests once.

The harness makes the requests and scores the answers as always. Requests that the engine does not take, or for
which its answers disagree with the harness's, are computed the harness's way, and the log says why.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from lm_eval.models.huggingface import HFLM

from workers.evaluation.shared_prefix import trust
from workers.evaluation.shared_prefix.batches import (
    BatchReplay,
    answer_batches,
    answer_key,
    read_texts,
    split_differently,
    text_batches,
    text_key,
)
from workers.evaluation.shared_prefix.encoding import BatchEncoder
from workers.evaluation.shared_prefix.engine_run import EngineRun, TokenRequest
from workers.evaluation.shared_prefix.generation_requests import generate_until
from workers.evaluation.shared_prefix.journal import AnswerJournal, read_scores
from workers.evaluation.shared_prefix.portable_answers import PortableAnswers
from workers.evaluation.shared_prefix.tree import ScoredAnswer
from workers.evaluation.shared_prefix.trust import HARNESS, SHARED_PREFIX


class SharedPrefixModel(HFLM):  # type: ignore[misc]  # the harness has no types
    """The harness's `hf` model with the argument `engine`: `shared-prefix`, or `harness` for the harness's way."""

    def __init__(self, *arguments: Any, engine: str = HARNESS, **options: Any) -> None:
        if engine not in (HARNESS, SHARED_PREFIX):
            raise ValueError(f"the engine is {engine!r}, and must be {HARNESS} or {SHARED_PREFIX}")
        super().__init__(*arguments, **options)
        self.engine = engine
        self.engine_record: trust.EngineRecord | None = None
        """The record of how the requests so far were computed; None if `engine` is the harness."""
        self.journal = AnswerJournal()
        """Answers of an earlier attempt, and those of this attempt for a later one."""
        self.portable_answers = PortableAnswers()
        """Answers by request: those of workers on other machines, and those of this attempt for such workers."""
        self._task_names: list[str] = []
        self._encoder: BatchEncoder | None = None

    def loglikelihood(self, requests: Any, disable_tqdm: bool = False) -> Any:
        """Compute log-likelihoods. The engine chooses requests of each task for its comparison with the harness."""
        self._task_names = [str(request.task_name) for request in requests]
        if self.engine != HARNESS and self.backend == "causal" and self.tokenizer.is_fast:
            encode = super().tok_encode
            self._encoder = BatchEncoder((request.args for request in requests), encode, self._encode_texts)
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
        answers_by_index = replay.answers(
            batches, [answer_key(requests, batch, by_context=by_context) for batch in batches]
        )
        return [answers_by_index[index] for index in range(len(requests))]

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
        texts_by_index = replay.answers(batches, [text_key(asked, batch) for batch in batches])
        return [texts_by_index[index] for index in range(len(requests))]

    def harness_answers(
        self, requests: Sequence[TokenRequest], batch_size: int, *, report: bool = False
    ) -> list[ScoredAnswer]:
        """Compute requests the harness's way, with its cache of logits only if that returns the right ones."""
        cached = self.logits_cache and not split_differently(requests)
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
