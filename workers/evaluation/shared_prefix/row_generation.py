"""Greedy generation on a CPU, in a batch that rows leave when they have ended, and that waiting prompts enter.

A step computes the next token of each row, guesses of the tokens that follow it, and the prompts of rows that begin. It
reads the model's weights once for all, which is most of its time. transformers' continuous batching, which is made for
GPUs, takes longer for the same step on a CPU, and makes no guesses.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torch

from workers.evaluation.shared_prefix import caches
from workers.evaluation.shared_prefix.drafts import LONGEST_GUESS, Draft
from workers.evaluation.shared_prefix.failures import GenerationFailed, is_out_of_memory
from workers.evaluation.shared_prefix.row_batch import STEP_TOKENS, BatchRow, RowBatch, Tokens

CHEAP_TOKENS = 48
"""Tokens of a step up to which guesses are added: reading the weights still takes most of its time."""
GROWTH_TOKENS = 64
"""Tokens by which the cache of a row grows at least."""


def generate_rows(
    model: Any,
    prompts: Sequence[Tokens],
    beginning: Tokens,
    *,
    rows: int,
    cache_tokens: int,
    max_new_tokens: int,
    has_ended: Callable[[Tokens], bool],
) -> Iterator[tuple[int, Tokens]]:
    """Generate an answer to each prompt; yield its number and tokens when it has ended.

    At most `rows` are computed at once, with `cache_tokens` after the shared beginning in the caches of all of them,
    unless one alone needs more. If they need more, the row that began last is computed again later. Raises
    GenerationFailed, OutOfMemoryError, MemoryError.
    """
    try:
        yield from _generate(model, prompts, beginning, rows, cache_tokens, max_new_tokens, has_ended)
    except GenerationFailed:
        raise
    except Exception as error:  # the model's own code meets a cache that it does not know
        if is_out_of_memory(error):
            raise
        raise GenerationFailed(f"{type(error).__name__} in a batch of rows: {error}"[:300]) from error


def _generate(
    model: Any,
    prompts: Sequence[Tokens],
    beginning: Tokens,
    rows: int,
    cache_tokens: int,
    max_new_tokens: int,
    has_ended: Callable[[Tokens], bool],
) -> Iterator[tuple[int, Tokens]]:
    windows = _windows(model)
    shared = len(beginning) if not any(windows) else 0
    batch = RowBatch(model, windows, beginning[:shared])
    numbers = sorted(range(len(prompts)), key=lambda number: prompts[number])
    waiting = deque(BatchRow(number, Draft(prompts[number]), len(prompts[number]), shared) for number in numbers)
    active: list[BatchRow] = []
    while waiting or active:
        _make_room(active, waiting, cache_tokens, shared)
        _admit(active, waiting, rows, cache_tokens, shared)
        chosen = _choose(active, max_new_tokens)
        for (row, tokens, guessed), best in zip(chosen, batch.compute(chosen), strict=True):
            if best and _extend(row, tokens[len(tokens) - guessed :], best, max_new_tokens, has_ended):
                active.remove(row)
                yield row.number, row.answer


@torch.inference_mode()  # type: ignore[untyped-decorator]  # torch is not followed
def _windows(model: Any) -> list[int | None]:
    """The windows of the model's layers. Raises GenerationFailed unless each layer has a plain cache."""
    cache = getattr(model(torch.tensor([[0]]), use_cache=True), "cache", None)
    own = caches.without_shared_layers(cache) if hasattr(cache, "layers") else cache
    if (reason := caches.unsupported_reason(own, 1)) is not None:
        raise GenerationFailed(reason)
    return caches.windows(cache)


def _make_room(active: list[BatchRow], waiting: deque[BatchRow], cache_tokens: int, shared: int) -> None:
    """Give rows whose caches are full more room; if there is too little, the last rows wait, without a cache."""
    for row in active:
        need = len(row.draft.tokens) - shared + LONGEST_GUESS
        if need > row.capacity:
            row.capacity = need + max(GROWTH_TOKENS, need // 4)
    while len(active) > 1 and sum(row.capacity for row in active) > cache_tokens:
        row = active.pop()
        row.cached, row.capacity, row.states = shared, 0, {}
        waiting.appendleft(row)


def _admit(active: list[BatchRow], waiting: deque[BatchRow], rows: int, cache_tokens: int, shared: int) -> None:
    """Move rows that wait into the batch while there is room for them, and for the others to grow once more."""
    used = sum(row.capacity + GROWTH_TOKENS for row in active)
    while waiting and len(active) < rows:
        need = len(waiting[0].draft.tokens) - shared + LONGEST_GUESS + GROWTH_TOKENS
        if active and used + need > cache_tokens:
            break
        row = waiting.popleft()
        row.capacity = need
        used += need + GROWTH_TOKENS
        active.append(row)


def _choose(active: Sequence[BatchRow], max_new_tokens: int) -> list[tuple[BatchRow, Tokens, int]]:
    """The tokens of the next step: for each row those that its cache lacks and guesses, with the number of guesses."""
    chosen, room, guesses = [], STEP_TOKENS, CHEAP_TOKENS - len(active)
    for row in sorted(active, key=lambda row: len(row.draft.tokens) - row.cached):
        missing = row.missing[:room]
        guess: Tokens = []
        if len(row.draft.tokens) - row.cached == 1:
            left = max_new_tokens - (len(row.draft.tokens) - row.prompt_length) - 1
            guess = row.draft.guess(min(guesses, left, room - 1))
        if missing:
            chosen.append((row, missing + guess, len(guess)))
        room -= len(missing) + len(guess)
        guesses -= len(guess)
    return chosen


def _extend(
    row: BatchRow, guess: Tokens, best: Tokens, max_new_tokens: int, has_ended: Callable[[Tokens], bool]
) -> bool:
    """Add the model's tokens to a row as far as its guesses are confirmed; return whether the answer has ended."""
    confirmed = next((at for at, pair in enumerate(zip(guess, best, strict=False)) if pair[0] != pair[1]), len(guess))
    row.draft.judge(len(guess), confirmed)
    for token in best[: confirmed + 1]:
        row.draft.append(token)
        answer = row.answer
        if len(answer) >= max_new_tokens or has_ended(answer):
            return True
    row.cached = len(row.draft.tokens) - 1  # the rest of the cache holds wrong guesses, which the next step overwrites
    return False
