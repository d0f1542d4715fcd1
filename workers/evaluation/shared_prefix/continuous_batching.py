"""Greedy generation with transformers' continuous batching, for GPUs: its cache has pages that answers share."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from transformers.generation.configuration_utils import ContinuousBatchingConfig
from transformers.generation.continuous_batching import ContinuousBatchingManager
from transformers.generation.continuous_batching.scheduler import SCHEDULER_MAPPING, FIFOScheduler

from workers.evaluation.shared_prefix.failures import GenerationFailed
from workers.evaluation.shared_prefix.row_batch import Tokens

PAGE_TOKENS = 32
"""Tokens of one page of the cache: a beginning is shared by whole pages."""
PREFILL_TOKENS = 512
"""Tokens that one step computes at most; prompts that are longer are computed in several steps."""
POLL_SECONDS = 1.0


def generate_pages(
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

    The caller may use the model while it handles an answer. Raises GenerationFailed, OutOfMemoryError, MemoryError.
    """
    missing = set(range(len(prompts)))
    with _manager(model, prompts, max_new_tokens, rows, cache_tokens) as manager:
        if beginning:
            manager.add_request(beginning, request_id="shared", max_new_tokens=1)
            _next_output(manager)
        for number in sorted(missing, key=lambda number: prompts[number]):
            manager.add_request(prompts[number], request_id=str(number), max_new_tokens=max_new_tokens, streaming=True)
        while missing:
            output = _next_output(manager)
            number, answer = int(output.request_id), output.generated_tokens
            if number not in missing:
                continue  # a step that was under way when this answer was cancelled
            if not output.is_finished():
                if not has_ended(answer):
                    continue
                manager.cancel_request(output.request_id)
            missing.remove(number)
            with manager.pause():
                yield number, answer


class _AnswerScheduler(FIFOScheduler):  # type: ignore[misc]  # transformers is not followed
    """transformers' scheduler, which also admits new answers after one was cancelled.

    When transformers' own scheduler removes answers from a full cache, it admits none until another ends. If all others
    are cancelled, as they are at a stop sequence, it would wait for ever.
    """

    def clear_cancelled_requests(self) -> Any:
        """Remove cancelled answers."""
        cancelled = super().clear_cancelled_requests()
        if cancelled:
            self.block_new_requests = False
        return cancelled


@contextmanager
def _manager(
    model: Any, prompts: Sequence[Tokens], max_new_tokens: int, rows: int, cache_tokens: int
) -> Iterator[ContinuousBatchingManager]:
    longest = math.ceil((max(map(len, prompts)) + max_new_tokens) / PAGE_TOKENS)
    SCHEDULER_MAPPING["steward"] = _AnswerScheduler
    config = ContinuousBatchingConfig(
        page_size=PAGE_TOKENS,
        num_blocks=max(math.ceil(cache_tokens / PAGE_TOKENS), longest + 1) + rows,
        max_batch_tokens=max(PREFILL_TOKENS, rows),
        max_requests_per_batch=rows,
        scheduler_type="steward",
        auto_switch_to_flash=False,  # it may fetch kernels from the Hub
        use_async_batching=False,
    )
    try:
        manager = model.init_continuous_batching(_greedy_config(model, max_new_tokens), config)
    except ValueError as error:  # for instance a kind of layers for which there is no paged cache
        raise _failure(error) from error
    with ExitStack() as stack:
        manager.start()
        stack.callback(manager.destroy)
        stack.callback(manager.stop, hard_stop=True)
        yield manager


def _greedy_config(model: Any, max_new_tokens: int) -> Any:
    config = copy.deepcopy(model.generation_config)
    config.update(do_sample=False, temperature=None, top_p=None, top_k=None, max_length=None, min_length=None)
    config.max_new_tokens = max_new_tokens
    return config


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
