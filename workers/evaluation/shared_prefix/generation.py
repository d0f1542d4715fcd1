"""Greedy generation with transformers' continuous batching: an answer that has ended leaves the batch, and a waiting
prompt enters it. A fixed batch computes until its longest answer ends.

The module needs nothing of the board, the queue or the Hub. A text ends exactly where the harness ends it with one
prompt a batch. Whether the texts are right is not assumed: `AnswerChecker` computes an answer once more in one plain
forward pass, in which each generated token has to be the most likely one.
"""

from __future__ import annotations

import copy
import inspect
import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import cached_property, partial
from typing import Any

import torch
from transformers.generation.configuration_utils import ContinuousBatchingConfig
from transformers.generation.continuous_batching import ContinuousBatchingManager
from transformers.generation.continuous_batching.scheduler import SCHEDULER_MAPPING, FIFOScheduler

from workers.evaluation.shared_prefix import caches
from workers.evaluation.shared_prefix.paged_attention import attention_by_answer

PAGE_TOKENS = 32
"""Tokens of one page of the cache: a beginning is shared by whole pages."""
PAGE_TOKENS_ON_CPU = 128
"""Tokens of one page on a CPU at most, about."""
PREFILL_TOKENS = 512
"""Tokens that one step computes at most; prompts that are longer are computed in several steps."""
POLL_SECONDS = 1.0
CHECKED_ROWS, CHECKED_POSITIONS = 8, 512
"""Answers that are checked in one pass at most, and positions whose scores it computes, unless one answer has more."""
GREEDY_OPTIONS = frozenset({"do_sample", "temperature", "top_p", "top_k"})
"""Options of a task that greedy generation ignores."""
PLAIN_SETTINGS = GREEDY_OPTIONS | {
    "bos_token_id", "eos_token_id", "pad_token_id", "max_length", "max_new_tokens", "use_cache", "transformers_version",
    "_from_model_config",
}  # fmt: skip
"""Settings of a model's generation config with which the harness generates greedy answers, too.

With any other, such as a penalty or beams, it may give other answers or none.
"""
NEUTRAL_SETTINGS = {
    "num_beams": 1, "num_return_sequences": 1, "repetition_penalty": 1.0, "length_penalty": 1.0, "min_length": 0,
    "no_repeat_ngram_size": 0,
}  # fmt: skip
"""Settings that change nothing at these values."""

Tokens = list[int]


class GenerationFailed(Exception):
    """Continuous batching ended without all answers."""


class AnswersDiffer(Exception):
    """An answer is not the one that the model gives in a plain forward pass."""


@dataclass(frozen=True)
class StopSequence:
    """A text that ends an answer, and how many tokens before the end of the answer it is looked for in."""

    text: str
    tokens: int


@dataclass(frozen=True)
class Capacity:
    """How much one batch may hold: `rows` answers at once, with `tokens` in the cache of all of them."""

    rows: int
    tokens: int


def reason_against(model: Any, options: Mapping[str, Any]) -> str:
    """Why texts of `model` with a task's `options` cannot be generated here; "" if they can."""
    if not hasattr(model, "init_continuous_batching"):
        return "the model has no continuous batching"
    if model.config.is_encoder_decoder:
        return "the model has an encoder"
    if model.config._attn_implementation != "sdpa":
        return f"the model's attention is of the kind {model.config._attn_implementation}"
    if options.get("do_sample") or options.get("temperature"):
        return "the task draws tokens at random"
    if unknown := sorted(set(options) - GREEDY_OPTIONS):
        return f"the task sets {', '.join(unknown)}"
    unknown = [
        name
        for name, value in model.generation_config.to_diff_dict().items()
        if name not in PLAIN_SETTINGS and value is not False and value not in (None, NEUTRAL_SETTINGS.get(name))
    ]
    if unknown:
        return f"the model's generation config sets {', '.join(sorted(unknown))}"[:300]
    return ""


def stop_sequences(tokenizer: Any, texts: Sequence[str]) -> list[StopSequence]:
    """The stop sequences as the harness looks for them: in two tokens more than it takes to write them."""
    return [StopSequence(text, len(tokenizer.encode(text, add_special_tokens=False)) + 2) for text in texts if text]


def has_ended(tokenizer: Any, answer: Sequence[int], stops: Sequence[StopSequence]) -> bool:
    """Whether the last tokens of `answer` complete a stop sequence."""
    ends = {stop.tokens: tokenizer.decode(answer[-stop.tokens :]) for stop in stops}
    return any(stop.text in ends[stop.tokens] for stop in stops)


def common_beginning(prompts: Sequence[Tokens]) -> int:
    """The number of tokens with which all prompts begin."""
    first, last = min(prompts), max(prompts)
    return next((at for at, (one, other) in enumerate(zip(first, last, strict=False)) if one != other), len(first))


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

    A beginning that all prompts share is computed first, so that it is in the cache for all. Raises AnswersDiffer,
    GenerationFailed, OutOfMemoryError, MemoryError.
    """
    missing = set(range(len(prompts)))
    shared = common_beginning(prompts) if len(prompts) > 1 else 0
    checker.beginning = prompts[0][: min(shared, min(map(len, prompts)) - 1)]
    page_tokens = _page_tokens(model, shared, capacity)
    with _manager(model, prompts, max_new_tokens, capacity, shared, page_tokens) as manager:
        if shared >= page_tokens:
            manager.add_request(prompts[0][:shared], request_id="shared", max_new_tokens=1)
            _next_output(manager)
        for number in sorted(missing, key=lambda number: prompts[number]):
            manager.add_request(prompts[number], request_id=str(number), max_new_tokens=max_new_tokens, streaming=True)
        while missing:
            output = _next_output(manager)
            number, answer = int(output.request_id), output.generated_tokens
            if number not in missing:
                continue  # computed before the scheduler saw that the answer had ended
            if not output.is_finished():
                if not has_ended(tokenizer, answer, stops):
                    continue
                manager.cancel_request(output.request_id)
            missing.remove(number)
            if checker.add(prompts[number], answer):
                with manager.pause():
                    checker.check()
            yield number, answer
    checker.check()


def _greedy_config(model: Any, max_new_tokens: int) -> Any:
    config = copy.deepcopy(model.generation_config)
    config.update(do_sample=False, temperature=None, top_p=None, top_k=None, max_length=None, min_length=None)
    config.max_new_tokens = max_new_tokens
    return config


def _page_tokens(model: Any, shared: int, capacity: Capacity) -> int:
    """The number of tokens of a page.

    On a CPU each page is a call of attention: large pages are faster, but the last one of an answer is half empty on
    average. The pages of a shared beginning hold (nearly) all of it.
    """
    if model.device.type != "cpu":
        return PAGE_TOKENS
    size = min(PAGE_TOKENS_ON_CPU, max(PAGE_TOKENS, capacity.tokens // capacity.rows))
    return shared // max(1, round(shared / size)) if 2 * shared >= size else size


class _AnswerScheduler(FIFOScheduler):  # type: ignore[misc]  # transformers is not followed
    """transformers' scheduler, for which answers that are cancelled end, too.

    When it takes answers out of a full cache, it lets none in until one ends. If all others are cancelled, as they are
    at a stop sequence, it would wait for ever.
    """

    def __init__(self, cache: Any, shared: int, max_requests_per_batch: int, **options: Any) -> None:
        cache.max_tokens_read += shared * max_requests_per_batch  # its limit counts pages that answers share once
        super().__init__(cache, max_requests_per_batch=max_requests_per_batch, **options)

    def clear_cancelled_requests(self) -> Any:
        """Remove cancelled answers."""
        cancelled = super().clear_cancelled_requests()
        if cancelled:
            self.block_new_requests = False
        return cancelled


@contextmanager
def _manager(
    model: Any, prompts: Sequence[Tokens], max_new_tokens: int, capacity: Capacity, shared: int, page_tokens: int
) -> Iterator[ContinuousBatchingManager]:
    on_cpu = model.device.type == "cpu"
    longest = math.ceil((max(map(len, prompts)) + max_new_tokens) / page_tokens)
    SCHEDULER_MAPPING["steward"] = partial(_AnswerScheduler, shared=shared if on_cpu else 0)
    pages = max(math.ceil(capacity.tokens / page_tokens), longest + 1)
    config = ContinuousBatchingConfig(
        page_size=page_tokens,
        num_blocks=pages if on_cpu else pages + capacity.rows,
        max_batch_tokens=max(PREFILL_TOKENS, capacity.rows),
        max_requests_per_batch=capacity.rows,
        scheduler_type="steward",
        auto_switch_to_flash=False,  # it may fetch kernels from the Hub
        use_async_batching=False,
    )
    try:
        manager = model.init_continuous_batching(_greedy_config(model, max_new_tokens), config)
    except ValueError as error:  # for instance a kind of layers for which there is no paged cache
        raise _failure(error) from error
    with ExitStack() as stack:
        if on_cpu:
            stack.enter_context(attention_by_answer())
            # transformers gives attention the pages themselves if it is told that they fit, but not by its config
            manager.continuous_batching_config.max_blocks_per_request = longest
        manager.start()
        stack.callback(manager.destroy)
        stack.callback(manager.stop, hard_stop=True)
        yield manager


def _next_output(manager: ContinuousBatchingManager) -> Any:
    """The next state of an answer. Raises GenerationFailed, OutOfMemoryError, MemoryError."""
    while True:
        output = manager.get_result(timeout=POLL_SECONDS)
        if output is not None and output.error is None:
            return output
        error = manager.background_thread_status.fatal_error
        if isinstance(error, MemoryError | torch.OutOfMemoryError):
            raise error
        if error is not None:  # the model's own code meets a cache that it does not know
            raise _failure(error) from error
        if output is not None or not manager.is_running():
            raise GenerationFailed(output.error if output is not None else "the thread that generates has ended")


def _failure(error: Exception) -> GenerationFailed:
    return GenerationFailed(f"continuous batching does not take this model ({type(error).__name__}: {error})"[:300])


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
        """The keys and values of the beginning; None if it is short, or the model's cache cannot be continued."""
        if len(self.beginning) < PAGE_TOKENS or "cache" not in inspect.signature(self.model.forward).parameters:
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
    """The positions of a pass over these rows whose scores are computed."""
    width = max(len(prompt) + len(answer) - 1 for prompt, answer in pairs)
    return len(pairs) * (width - min(len(prompt) - 1 for prompt, _ in pairs))
