"""Decides from a loaded model whether the engine can compute its log-likelihoods, and how."""

from __future__ import annotations

import inspect
from dataclasses import dataclass
from typing import Any

import torch

from workers.evaluation.shared_prefix import caches
from workers.evaluation.shared_prefix.engine import Numerics, PrefixEngine
from workers.evaluation.shared_prefix.failures import is_out_of_memory
from workers.evaluation.shared_prefix.plan import Budget, make_plan
from workers.evaluation.shared_prefix.row_batch import attention_by
from workers.evaluation.shared_prefix.tree import AnswerRequest, ScoredAnswer

LENGTH_DEPENDENT_ROPE = ("dynamic", "longrope")
"""Kinds of position embeddings that change for all tokens once a sequence is longer than a limit."""
TREE_TOLERANCE = 1e-3
"""The largest difference of a log-likelihood between rows that hold trees and rows that hold chains, in float32.

A wrong mask or position shows as a larger one; the trial's tokens are so unlikely that rounding shows, too.
"""
_FIRST_TOKENS = (0, 1, 2)
_TRIED = Budget(cache_tokens=1000, step_tokens=1000)


@dataclass(frozen=True)
class Admission:
    """The use of the engine with a model. `engine` is None if it cannot be used; `reason` then says why.

    `longest_input` is the longest sequence that it takes (None: any). A row of a batch may hold a tree of tokens with
    `trees_in_rows`, if no sequence is as long as `window`, the smallest window of its layers (None: it has none).
    """

    engine: PrefixEngine | None = None
    reason: str = ""
    trees_in_rows: bool = False
    longest_input: int | None = None
    window: int | None = None


def examine(model: Any, device: Any, numerics: Numerics) -> Admission:
    """Decide how to use the engine with the loaded `model`: from its class, its cache of three tokens, and a trial."""
    reason = reason_of_class(model)
    if reason is not None:
        return Admission(reason=reason)
    with torch.inference_mode():
        cache = getattr(model(torch.tensor([_FIRST_TOKENS], device=device), use_cache=True), "cache", None)
    reason = caches.unsupported_reason(cache, len(_FIRST_TOKENS))
    if reason is not None:
        return Admission(reason=reason)
    engine = PrefixEngine(model, cache, device, numerics)
    config = model.config.get_text_config(decoder=True)
    chains = _trial(engine, config.vocab_size, trees_in_rows=False)
    if chains is None:
        return Admission(reason="it does not continue its cache")
    trees = _takes_masks(model) and _agree(_trial(engine, config.vocab_size, trees_in_rows=True), chains, model.dtype)
    limits = [rope_limit(config)]
    if model.config._attn_implementation == "sdpa" and getattr(config, "attention_chunk_size", None) is None:
        limits.append(window_of_cache_alone(model, device))  # the model makes masks for chunks as they are
    longest = min((limit for limit in limits if limit is not None), default=None)
    return Admission(engine, "", trees, longest, caches.smallest_window(cache))


def reason_of_class(model: Any) -> str | None:
    """Why the engine cannot compute a model of this class; None if the model's cache decides."""
    if model.config.is_encoder_decoder:
        return "it has an encoder"
    if getattr(model, "is_loaded_in_8bit", False):
        return "its 8-bit weights compute other numbers in other batches"
    adapter = getattr(model, "active_peft_config", None)
    if adapter is not None and adapter.is_prompt_learning:
        return "its adapter adds tokens to the prompt"
    if getattr(adapter, "alora_invocation_tokens", None):
        return "its adapter begins at certain tokens of the prompt"
    if not {"cache", "logits_to_keep"} <= _parameters(model):
        return f"{type(without_adapter(model)).__name__} takes no cache"
    return None


def without_adapter(model: Any) -> Any:
    """The model inside an adapter, or `model` itself."""
    return model.get_base_model() if hasattr(model, "get_base_model") else model


def _parameters(model: Any) -> set[str]:
    """The names of the parameters that the model's forward function takes."""
    return set(inspect.signature(without_adapter(model).forward).parameters)


def _takes_masks(model: Any) -> bool:
    """Whether the model takes a mask for each pair of tokens, and positions."""
    attention = getattr(model.config, "_attn_implementation", None)
    return attention in ("sdpa", "eager") and {"attention_mask", "position_ids"} <= _parameters(model)


def _trial(engine: PrefixEngine, vocabulary: int, *, trees_in_rows: bool) -> dict[int, ScoredAnswer] | None:
    """Answers after two contexts, of which one begins the other; None if the model rejects its cache or a mask.

    Raises MemoryError, or torch's errors, if there is too little memory: that says nothing about the model.
    """
    tokens = [number * 7919 % vocabulary for number in range(1, 60)]
    requests = [
        AnswerRequest.from_pair(context, tokens[30 + n : 34 + n], 100)
        for context in (tokens[:20], tokens[:24])
        for n in range(3)
    ]
    try:
        return dict(engine.answers(make_plan(requests, _TRIED, trees_in_rows=trees_in_rows)))
    except (ValueError, RuntimeError, IndexError, TypeError) as error:  # a model may reject them in its own way
        if is_out_of_memory(error):
            raise
        return None


def _agree(trees: dict[int, ScoredAnswer] | None, chains: dict[int, ScoredAnswer], dtype: torch.dtype) -> bool:
    """Whether rows that hold trees give the numbers of rows that hold chains.

    They do not where positions come from the place in the row (ALiBi), or where the model makes another mask.
    """
    if trees is None:
        return False
    tolerance = TREE_TOLERANCE if dtype == torch.float32 else 0.02 * max(-value for value, _ in chains.values())
    return all(abs(trees[number][0] - chains[number][0]) <= tolerance for number in chains)


def rope_limit(config: Any) -> int | None:
    """Tokens up to which position embeddings do not depend on the length of the sequence; None: for any length."""
    parameters = getattr(config, "rope_parameters", None) or {}
    kinds = [parameters, *(value for value in parameters.values() if isinstance(value, dict))]
    if not any(kind.get("rope_type") in LENGTH_DEPENDENT_ROPE for kind in kinds):
        return None
    limits = [kind.get("original_max_position_embeddings") for kind in kinds]
    return min(int(limit) for limit in (*limits, config.max_position_embeddings) if limit)


@torch.inference_mode()  # type: ignore[untyped-decorator]  # torch is not followed
def window_of_cache_alone(model: Any, device: Any) -> int | None:
    """The smallest window of the model's cache that its `sdpa` attention does not have; None: they have the same.

    Attention in chunks has the cache of a window. A Llama whose config has a window for which its code does not ask
    has such a cache, too: transformers computes its prompts without the window, and the tokens after them with it.
    """
    asked = set[int | None]()

    def attend(*arguments: Any, **options: Any) -> Any:
        asked.add(options.get("sliding_window"))
        return usual(*arguments, **options)

    with attention_by(attend) as usual:
        cache = getattr(model(torch.tensor([[0]], device=device), use_cache=True), "cache", None)
    windows = caches.windows(cache) if hasattr(cache, "layers") else []
    return min((window for window in windows if window is not None and window not in asked), default=None)
