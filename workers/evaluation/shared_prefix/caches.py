"""Caches of keys and values: which kinds the engine can continue, and new caches that continue rows of another."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any

import torch
from transformers.cache_utils import DummyLayer, DynamicCache, DynamicLayer, DynamicSlidingWindowLayer


def unsupported_reason(cache: Any, tokens: int) -> str | None:
    """Why rows of `cache`, which a model filled with `tokens` tokens, cannot be continued; None if they can.

    Types are compared exactly: layers that quantise, index or hold a recurrent state are subclasses of these.
    """
    if type(cache) is not DynamicCache:
        return f"its cache is a {type(cache).__name__}"
    layers: list[Any] = cache.layers
    others = {type(layer).__name__ for layer in layers if type(layer) not in (DynamicLayer, DynamicSlidingWindowLayer)}
    if others:
        return f"its cache has layers of the kind {', '.join(sorted(others))}"
    if not layers or not all(layer.is_initialized for layer in layers):
        return "not all layers of its cache hold keys and values"
    if any(layer.get_seq_length() != tokens for layer in layers):
        return "its cache holds other tokens than the prompt's"
    return None


def without_shared_layers(cache: Any) -> Any:
    """`cache` without the entries of layers that read another layer's keys and values, and have none of their own."""
    return _with_layers(cache, [layer for layer in cache.layers if type(layer) is not DummyLayer])


def windows(cache: Any) -> list[int | None]:
    """For each layer of `cache`, the number of the last tokens that it shows; None if it shows every token."""
    return [layer.sliding_window if type(layer) is DynamicSlidingWindowLayer else None for layer in cache.layers]


def smallest_window(cache: Any) -> int | None:
    """The smallest window of the layers of `cache`; None if all show every token."""
    return min((window for window in windows(cache) if window is not None), default=None)


def empty_like(cache: Any) -> Any:
    """An empty cache of the same layers."""
    return _with_layers(cache, [_empty_layer(layer) for layer in cache.layers])


def continue_rows(cache: Any, rows: Sequence[int], length: int) -> Any:
    """A cache whose rows are the first `length` tokens of `rows` of `cache`; the model copies them when it adds to it.

    `cache` holds all tokens of its last step, also those that a window does not show any more.
    """
    return _with_layers(cache, [_continued_layer(layer, rows, length) for layer in cache.layers])


def _with_layers(cache: Any, layers: list[Any]) -> Any:
    other = copy.copy(cache)
    other.layers = layers
    return other


def _empty_layer(layer: Any) -> Any:
    if type(layer) is DynamicLayer:
        return DynamicLayer()
    empty = DynamicSlidingWindowLayer(layer.sliding_window)
    empty.activate_past_recording()  # a shorter row of the batch continues before the end of the longest
    return empty


def _continued_layer(layer: Any, rows: Sequence[int], length: int) -> Any:
    continued = _empty_layer(layer)
    continued.lazy_initialization(layer.keys, layer.values)
    first = 0
    if type(layer) is DynamicSlidingWindowLayer:
        first = max(0, length - layer.sliding_window + 1)
        continued.cumulative_length = length
    dropped = layer.get_seq_length() - layer.keys.shape[-2]
    visible = slice(first - dropped, length - dropped)
    continued.keys = _select(layer.keys, rows, visible)
    continued.values = _select(layer.values, rows, visible)
    return continued


def _select(states: torch.Tensor, rows: Sequence[int], visible: slice) -> Any:
    """The slots `visible` of `rows`; without a copy if all are the same row, or all rows in order."""
    if len(set(rows)) == 1:
        row = states[rows[0] : rows[0] + 1, :, visible]
        return row.expand(len(rows), *row.shape[1:])
    if list(rows) == list(range(states.shape[0])):
        return states[:, :, visible]
    return states[torch.tensor(rows, device=states.device), :, visible]
