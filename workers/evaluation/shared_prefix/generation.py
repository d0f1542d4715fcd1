"""Greedy generation: an answer that has ended leaves the batch, and a waiting prompt enters it. A fixed batch computes
until its longest answer ends.

The module needs nothing of the board, the queue or the Hub. A text ends exactly where the harness ends it with one
prompt a batch. `AnswerChecker` checks the texts: it computes an answer once more in one plain forward pass, in which
each generated token has to be the most likely one.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import torch
from transformers import GenerationMixin

from workers.evaluation.shared_prefix import caches, continuous_batching, row_generation
from workers.evaluation.shared_prefix.admission import (
    reason_of_class,
    rope_limit,
    window_of_cache_alone,
    without_adapter,
)
from workers.evaluation.shared_prefix.failures import GenerationFailed
from workers.evaluation.shared_prefix.row_batch import Tokens

SHORTEST_BEGINNING = 32
"""Length in tokens from which a common beginning of all prompts is computed once."""
CHECKED_ROWS, CHECKED_POSITIONS = 8, 512
"""The most answers checked in one pass, and the most positions whose scores it computes, unless one answer has more."""
GREEDY_OPTIONS = frozenset({"do_sample", "temperature", "top_p", "top_k"})
"""Options of a task that greedy generation ignores."""
PLAIN_SETTINGS = GREEDY_OPTIONS | {
    "bos_token_id", "eos_token_id", "pad_token_id", "max_length", "max_new_tokens", "use_cache", "transformers_version",
    "_from_model_config",
}  # fmt: skip
"""Settings of a model's generation config with which the harness generates greedy answers, too.

With any other, such as a penalty or beams, it may give other answers or none.
"""
NEUTRAL_SETTINGS: dict[str, float] = {
    "num_beams": 1, "num_return_sequences": 1, "repetition_penalty": 1.0, "length_penalty": 1.0, "min_length": 0,
    "no_repeat_ngram_size": 0, "early_stopping": False, "is_assistant": False, "low_memory": False,
    "output_attentions": False, "output_hidden_states": False, "output_logits": False, "output_scores": False,
    "remove_invalid_values": False, "renormalize_logits": False, "return_dict_in_generate": False,
    "token_healing": False, "use_mtp": False,
}  # fmt: skip
"""Settings that change nothing at these values."""
USUAL_METHODS = {
    name: getattr(GenerationMixin, name)
    for name in ("generate", "_prepare_generation_config", "_get_logits_processor", "_get_stopping_criteria", "_sample")
}
"""transformers' methods that decide the tokens of a greedy answer."""


class AnswersDiffer(Exception):
    """An answer is not the one that the model gives in a plain forward pass."""


@dataclass(frozen=True)
class StopSequence:
    """A text that ends an answer; it is searched in the last `tokens` tokens of the answer."""

    text: str
    tokens: int


@dataclass(frozen=True)
class Capacity:
    """How much one batch may hold: `rows` answers at once, with `tokens` in the cache of all of them."""

    rows: int
    tokens: int


def reason_against(model: Any, options: Mapping[str, Any]) -> str:
    """Why the engine cannot generate texts of `model` with a task's `options`; "" if it can."""
    if (reason := reason_of_class(model)) is not None:
        return reason
    if model.device.type != "cpu" and not hasattr(model, "init_continuous_batching"):
        return "the model has no continuous batching"
    if not _generates_as_usual(without_adapter(model)):
        return "the model generates in a way of its own"
    if model.config._attn_implementation != "sdpa":
        return f"the model's attention is of the kind {model.config._attn_implementation}"
    if options.get("do_sample") or options.get("temperature"):
        return "the task draws tokens at random"
    if unknown := sorted(set(options) - GREEDY_OPTIONS):
        return f"the task sets {', '.join(unknown)}"
    unknown = [
        name
        for name, value in model.generation_config.to_diff_dict().items()
        if name not in PLAIN_SETTINGS and value not in (None, NEUTRAL_SETTINGS.get(name))
    ]
    if unknown:
        return f"the model's generation config sets {', '.join(sorted(unknown))}"[:300]
    return ""


def _generates_as_usual(model: Any) -> bool:
    """Whether `model` generates by transformers' own methods. A class, or code beside its weights, may replace them."""
    methods = {name: getattr(getattr(model, name, None), "__func__", None) for name in USUAL_METHODS}
    return methods == USUAL_METHODS


def _check_lengths(model: Any, longest: int) -> None:
    """Raise GenerationFailed if `model` cannot take a prompt and its answer of `longest` tokens together."""
    limit = rope_limit(model.config.get_text_config(decoder=True))
    if limit is not None and longest > limit:
        raise GenerationFailed("answers may be longer than its position embeddings' limit")
    window = window_of_cache_alone(model, model.device)
    if window is not None and longest > window:
        raise GenerationFailed("answers may be longer than a window of its cache that its attention does not have")


def stop_sequences(tokenizer: Any, texts: Sequence[str]) -> list[StopSequence]:
    """The stop sequences; the harness searches each in two tokens more than its text has.

    An empty one is in every text: answers end after one token, as in the harness.
    """
    return [StopSequence(text, len(tokenizer.encode(text, add_special_tokens=False)) + 2) for text in texts]


def has_ended(tokenizer: Any, answer: Sequence[int], stops: Sequence[StopSequence]) -> bool:
    """Whether the last tokens of `answer` complete a stop sequence."""
    ends = {stop.tokens: tokenizer.decode(answer[-stop.tokens :]) for stop in stops}
    return any(stop.text in ends[stop.tokens] for stop in stops)


def common_beginning(prompts: Sequence[Tokens]) -> int:
    """The length in tokens of the beginning that all prompts share."""
    first, last = min(prompts), max(prompts)
    return next((at for at, pair in enumerate(zip(first, last, strict=False)) if pair[0] != pair[1]), len(first))


def generate(
    model: Any,
    tokenizer: Any,
    prompts: Sequence[Tokens],
    *,
    stops: Sequence[StopSequence],
    max_new_tokens: int,
    capacity: Capacity,
    checker: AnswerChecker,
) -> Iterator[tuple[int, Tokens]]:
    """Generate an answer to each prompt; yield its number and tokens when it has ended.

    A beginning that all prompts share is computed once. Raises AnswersDiffer, GenerationFailed, OutOfMemoryError,
    MemoryError.
    """
    _check_lengths(model, max(map(len, prompts)) + max_new_tokens)
    shared = common_beginning(prompts) if len(prompts) > 1 else 0
    shared = min(shared, min(map(len, prompts)) - 1)
    checker.beginning = prompts[0][:shared] if shared >= SHORTEST_BEGINNING else []
    ends = model.generation_config.eos_token_id
    end_tokens = {ends} if isinstance(ends, int) else set(ends or ())

    def ended(answer: Tokens) -> bool:
        return answer[-1] in end_tokens or has_ended(tokenizer, answer, stops)

    on_cpu = model.device.type == "cpu"
    generate_batch = row_generation.generate_rows if on_cpu else continuous_batching.generate_pages
    answers = generate_batch(
        model, prompts, checker.beginning, rows=capacity.rows, cache_tokens=capacity.tokens,
        max_new_tokens=max_new_tokens, has_ended=ended,
    )  # fmt: skip
    for number, answer in answers:
        if checker.add(prompts[number], answer):
            checker.check()
        yield number, answer
    checker.check()


@dataclass
class AnswerChecker:
    """Compares answers with one plain forward pass of the model, each token with the most likely one.

    A token whose score is within `tolerance` of the best one is a near tie: another batch shape may prefer it. The
    `beginning` of all prompts is computed once, into a cache that each pass continues, if the model has such a cache.
    """

    model: Any
    tolerance: float
    first: int
    every: int
    """Compares the `first` answers, and then one in `every`."""
    seen: int = 0
    compared: int = 0
    near_ties: int = 0
    largest: float = 0.0
    """Answers seen and compared, near ties in these, and the largest distance of a token from the best score."""
    beginning: Tokens = field(default_factory=list)
    _collected: list[tuple[Tokens, Tokens]] = field(default_factory=list)

    def add(self, prompt: Tokens, answer: Tokens) -> bool:
        """Count an answer, and collect it if it is to be compared; return whether there are enough for a batch."""
        self.seen += 1
        if self.seen <= self.first or self.seen % self.every == 0:
            self._collected.append((prompt, answer))
        return len(self._collected) == CHECKED_ROWS

    @cached_property
    def _cache(self) -> Any:
        """The keys and values of the beginning; None if it is empty, or this cache cannot be continued."""
        if not self.beginning or reason_of_class(self.model) is not None:
            return None
        cache = self.model(torch.tensor([[0]], device=self.model.device), use_cache=True).cache
        if caches.unsupported_reason(cache, 1) is not None:
            return None
        cache = caches.empty_like(cache)
        self.model(torch.tensor([self.beginning], device=self.model.device), use_cache=True, cache=cache)
        return cache

    def check(self) -> None:
        """Compare the collected answers. Raises AnswersDiffer unless tokens are the most likely ones, or nearly so."""
        collected = sorted(self._collected, key=lambda pair: len(pair[0]))
        self._collected.clear()
        while collected:
            count = max(
                n for n in range(1, len(collected) + 1) if n == 1 or _positions(collected[:n]) <= CHECKED_POSITIONS
            )
            self._check(collected[:count])
            del collected[:count]

    @torch.inference_mode()  # type: ignore[untyped-decorator]  # torch is not followed
    def _check(self, pairs: Sequence[tuple[Tokens, Tokens]]) -> None:
        """Compare answers in one pass; rows are padded at the end, which no token before it sees."""
        known = len(self.beginning) if self._cache is not None else 0
        rows = [[*prompt, *answer[:-1]][known:] for prompt, answer in pairs]
        width = max(map(len, rows))
        tokens = torch.tensor([row + [0] * (width - len(row)) for row in rows], device=self.model.device)
        options: dict[str, Any] = {"use_cache": False}
        if self._cache is not None:
            options = {"use_cache": True, "cache": caches.continue_rows(self._cache, [0] * len(rows), known)}
        starts = [len(prompt) - 1 - known for prompt, _ in pairs]
        first = min(starts)
        if self.model._supports_logits_to_keep():
            options["logits_to_keep"] = width - first
        logits = self.model(tokens, **options).logits[:, first - width :]
        for row, (start, (_, answer)) in enumerate(zip(starts, pairs, strict=True)):
            self._compare(logits[row, start - first : start - first + len(answer)].float(), answer)

    def _compare(self, scores: torch.Tensor, answer: Tokens) -> None:
        chosen = scores.gather(-1, torch.tensor(answer, device=scores.device).unsqueeze(-1)).squeeze(-1)
        distances = scores.amax(-1) - chosen
        worst = float(distances.max())
        self.compared += 1
        self.near_ties += int((distances > 0).sum())
        self.largest = max(self.largest, worst) if math.isfinite(worst) else math.inf
        if not worst <= self.tolerance:  # also if it is not a number
            raise AnswersDiffer(f"a token's score is {worst:.3g} below the best one")


def _positions(pairs: Sequence[tuple[Tokens, Tokens]]) -> int:
    """The number of positions whose scores a pass over these rows computes."""
    width = max(len(prompt) + len(answer) - 1 for prompt, answer in pairs)
    return len(pairs) * (width - min(len(prompt) - 1 for prompt, _ in pairs))
