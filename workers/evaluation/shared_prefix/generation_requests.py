"""Answers a harness model's generation requests with the engine, as long as it gives the model's own texts."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from lm_eval.models.utils import handle_stop_sequences, normalize_gen_kwargs, postprocess_generated_text

from workers.evaluation.shared_prefix.failures import GenerationFailed
from workers.evaluation.shared_prefix.generation import (
    AnswerChecker,
    AnswersDiffer,
    Capacity,
    common_beginning,
    generate,
    reason_against,
    stop_sequences,
)
from workers.evaluation.shared_prefix.journal import unit_key
from workers.evaluation.shared_prefix.trust import GenerationRecord

log = logging.getLogger(__name__)

TOLERANCES = {"float32": 1e-3, "bfloat16": 0.5, "float16": 0.1}
"""How far the score of a generated token may be below the best one, by the model's dtype."""
COMPARED_FIRST, COMPARED_EVERY = 32, 100
"""Answers of each group of requests that are checked: the first COMPARED_FIRST, then one in COMPARED_EVERY."""
SMALL_GROUP_FIRST, SMALL_GROUP_SHARE = 8, 5
"""Of a smaller group, the first SMALL_GROUP_FIRST answers are checked, or the first 1/SMALL_GROUP_SHARE if more."""

ROWS_ON_CPU = 4
"""Rows of a batch on a CPU for each row of the harness's batch: the same cache holds more answers if they end early."""


class GenerationGroup:
    """Requests of the harness with the same options, as its model reads them."""

    def __init__(self, lm: Any, requests: Sequence[Any]) -> None:
        self.lm, self.requests = lm, requests
        self.options = normalize_gen_kwargs(requests[0].args[1], lm.max_gen_toks)
        eos = lm.tok_decode(lm.eot_token_id, skip_special_tokens=False)
        self.until = handle_stop_sequences(self.options.pop("until", None), eos=eos)
        self.max_new_tokens: int = self.options.pop("max_gen_toks")
        # transformers lets this setting of the model prevail over the length that the harness asks for.
        self.own_limit: int | None = lm.model.generation_config.max_new_tokens
        self.longest = self.max_new_tokens if self.own_limit is None else self.own_limit
        """The most tokens of an answer."""

    def reason_against(self) -> str:
        """Why these requests are answered the harness's way; "" if the engine may answer them."""
        if self.lm.backend != "causal":
            return "the model has an encoder"
        if self.lm.think_end_token is not None:
            return "answers are cut after the model's reasoning"
        if not isinstance(self.lm.batch_size, int):
            return "the harness chooses the batch size"
        if self.lm.batch_size < 2:
            return "the batch has one row"
        if self.lm.mixed_precision_dtype is not None:
            return "the model computes in mixed precision"
        if self.max_new_tokens >= self.lm.max_length:
            return "the answer may be longer than the model's context"
        if type(self.longest) is not int or not 0 < self.longest <= self.max_new_tokens:  # JSON may hold 2.5, too
            return f"the model's generation config sets max_new_tokens to {self.own_limit}"
        return reason_against(self.lm.model, self.options)

    def earlier_reason(self) -> str:
        """Why an earlier attempt, whose journal this one continues, used the harness's way; "" if it did not."""
        reason = self.lm.journal.get(self._group_key()) if self.lm.journal.units else None
        return reason[:1_000] if isinstance(reason, str) else ""

    def note_reason(self, reason: str) -> None:
        """Note in the journal, for a later attempt, why this one uses the harness's way."""
        if self.lm.journal.is_open:
            self.lm.journal.add(self._group_key(), reason)

    def _group_key(self) -> bytes:
        return unit_key("texts by the harness", self.options, [request.args[0] for request in self.requests])

    def answer(self, checker: AnswerChecker, replay_checker: AnswerChecker) -> Iterator[tuple[int, str]]:
        """Yield each request's number and text, those in the journal first. Raises what `generate` raises."""
        lm = self.lm
        prompts = [self._prompt(request.args[0]) for request in self.requests]
        stored = self._stored_answers(prompts, replay_checker)
        for number, answer in stored.items():
            lm.journal.replayed += 1
            yield number, self._text(answer)
        missing = [number for number in range(len(prompts)) if number not in stored]
        if not missing:
            return
        tokens = min(lm.batch_size, len(prompts)) * (max(map(len, prompts)) + self.longest)
        rows = min(lm.batch_size * (ROWS_ON_CPU if lm.device.type == "cpu" else 1), len(prompts))
        answers = generate(
            lm.model, lm.tokenizer, [prompts[number] for number in missing],
            stops=stop_sequences(lm.tokenizer, self.until), max_new_tokens=self.longest,
            capacity=Capacity(rows, tokens), checker=checker,
        )  # fmt: skip
        for place, answer in answers:
            if lm.journal.is_open:
                lm.journal.add(self._key(prompts[missing[place]]), list(map(int, answer)))
            yield missing[place], self._text(answer)

    def _text(self, answer: list[int]) -> str:
        text: str = postprocess_generated_text(self.lm.tok_decode(answer), stop=self.until, think_end_token=None)
        return text

    def _stored_answers(self, prompts: list[list[int]], checker: AnswerChecker) -> dict[int, list[int]]:
        """The answers in the journal, by number, after `checker` compared some of them."""
        journal = self.lm.journal
        stored = {
            number: answer
            for number, prompt in enumerate(prompts if journal.units else ())
            if self._is_answer(answer := journal.get(self._key(prompt)))
        }
        shared = common_beginning(prompts) if len(prompts) > 1 else 0
        checker.beginning = prompts[0][: min(shared, min(map(len, prompts)) - 1)]
        try:
            for number, answer in stored.items():
                if checker.add(prompts[number], answer):
                    checker.check()
            checker.check()
        except AnswersDiffer as error:
            journal.discard(f"a text is not the model's: {error}")
            checker.seen = checker.compared = checker.near_ties = 0
            checker.largest = 0.0
            return {}
        return stored

    def _key(self, prompt: list[int]) -> bytes:
        return unit_key("text", [self.options, self.until, self.longest], [prompt])

    def _is_answer(self, value: Any) -> bool:
        """Whether a value of the journal is a list of tokens that may be an answer."""
        size = self.lm.model.config.get_text_config().vocab_size
        return (
            isinstance(value, list)
            and 0 < len(value) <= self.longest
            and all(type(token) is int and 0 <= token < size for token in value)
        )

    def _prompt(self, context: str) -> list[int]:
        room = self.lm.max_length - self.max_new_tokens
        tokens, _ = self.lm.tok_batch_encode([context], left_truncate_len=room, truncation=self.lm.truncation)
        prompt: list[int] = tokens[0].tolist()
        return prompt


def generate_until(
    lm: Any, requests: Sequence[Any], harness: Callable[[list[Any]], list[str]]
) -> tuple[list[str], GenerationRecord]:
    """The texts of `requests`, and how they were generated; `harness` answers those that the engine cannot answer."""
    record = GenerationRecord()
    groups: dict[str, list[int]] = {}
    for index, request in enumerate(requests):
        groups.setdefault(repr(request.args[1]), []).append(index)
    texts = [""] * len(requests)
    for indexes in groups.values():
        chosen = [requests[index] for index in indexes]
        for index, text in zip(indexes, _answer_group(lm, chosen, harness, record), strict=True):
            texts[index] = text
    return texts, record


def _answer_group(
    lm: Any, requests: list[Any], harness: Callable[[list[Any]], list[str]], record: GenerationRecord
) -> list[str]:
    group = GenerationGroup(lm, requests)
    reason, texts = group.reason_against() or group.earlier_reason(), dict[int, str]()
    mark = lm.portable_answers.own.mark()
    if not reason:
        tolerance = TOLERANCES.get(str(lm.model.dtype).removeprefix("torch."), 0.0)
        first = min(COMPARED_FIRST, max(SMALL_GROUP_FIRST, len(requests) // SMALL_GROUP_SHARE))
        checkers = [AnswerChecker(lm.model, tolerance, first, COMPARED_EVERY) for _ in range(2)]
        try:
            for number, text in group.answer(*checkers):
                texts[number] = text
                lm.cache_hook.add_partial("generate_until", requests[number].args, text)
        except (AnswersDiffer, GenerationFailed) as error:
            reason = str(error)
            group.note_reason(reason)
        else:
            for checker in checkers:
                _count(record, checker)
            return [texts[number] for number in range(len(requests))]
    record.reasons = tuple(dict.fromkeys((*record.reasons, reason)))
    log.warning("texts are generated the harness's way: %s", reason)
    lm.withdraw(len(texts))
    lm.portable_answers.own.cut(mark)
    return harness(requests)


def _count(record: GenerationRecord, checker: AnswerChecker) -> None:
    record.answers += checker.seen
    record.compared += checker.compared
    record.near_ties += checker.near_ties
    record.largest_distance = max(record.largest_distance, checker.largest)
