"""A batch of texts on a CPU, of which each is a row with a cache of its own.

The tokens of a step, of some rows one and of others many, are one sequence for the model, without padding. The keys and
values of a row are written to its own tensors, from which its attention reads them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from transformers.cache_utils import Cache, CacheLayerMixin
from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS, AttentionInterface

from workers.evaluation.shared_prefix.drafts import Draft
from workers.evaluation.shared_prefix.failures import GenerationFailed

STEP_TOKENS = 512
"""Tokens that one step computes at most; longer prompts are computed in several steps."""

Tokens = list[int]


@dataclass(eq=False)
class BatchRow:
    """A text of which the first `cached` tokens are in the cache: the shared beginning's, then its own."""

    number: int
    draft: Draft
    prompt_length: int
    cached: int
    capacity: int = 0
    """Tokens after the shared beginning for which there is room."""
    states: dict[int, torch.Tensor] = field(default_factory=dict)
    """Keys and values [2, heads, tokens, size] of each layer."""

    @property
    def missing(self) -> Tokens:
        """The known tokens that are not in the cache."""
        return self.draft.tokens[self.cached :]

    @property
    def answer(self) -> Tokens:
        """The tokens after the prompt."""
        return self.draft.tokens[self.prompt_length :]


@dataclass(frozen=True)
class RowTokens:
    """A row's tokens in a step, the last `guessed` of which are guesses; they are `first` to `end` of the step's."""

    row: BatchRow
    first: int
    tokens: Tokens
    guessed: int

    @property
    def end(self) -> int:
        """The place in the step after the row's last token."""
        return self.first + len(self.tokens)


@contextmanager
def attention_by(function: Callable[..., Any]) -> Iterator[Callable[..., Any]]:
    """Compute `sdpa` attention by `function` inside the block; yields the usual attention function."""
    usual = ALL_ATTENTION_FUNCTIONS["sdpa"]
    AttentionInterface.register("sdpa", function)
    try:
        yield usual
    finally:
        AttentionInterface.register("sdpa", usual)


class RowLayer(CacheLayerMixin):  # type: ignore[misc]  # transformers is not followed
    """One layer of the caches of all rows of a step; `window` is the number of last tokens that it sees (None: all)."""

    def __init__(self, batch: RowBatch, number: int, window: int | None) -> None:
        super().__init__()
        self.batch, self.number, self.window = batch, number, window
        self.new_keys: torch.Tensor | None = None
        """The step's keys: the attention function knows the layer by them."""

    def lazy_initialization(self, key_states: torch.Tensor, value_states: torch.Tensor) -> None:
        """Do nothing: rows hold the tensors."""

    def update(
        self, key_states: torch.Tensor, value_states: torch.Tensor, *_: Any, **__: Any
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Write the step's keys and values into the caches of their rows."""
        self.new_keys = key_states
        states = torch.cat((key_states, value_states))
        for part in self.batch.parts:
            self.batch.write(part, self.number, states[:, :, part.first : part.end])
        return key_states, value_states

    def get_mask_sizes(self, query_length: int) -> tuple[int, int]:
        """The sizes for the step's own tokens alone: the attention function makes the masks."""
        return query_length, 0

    def get_seq_length(self) -> int:
        """Zero: the layer itself has no length, as each row has a length of its own."""
        return 0

    def get_max_length(self) -> int:
        """-1: a row may have any length."""
        return -1


class RowBatch:
    """Computes rows with a model whose layers see `windows`. All rows continue `beginning`, which is computed once.

    If there is a beginning, all layers see all tokens.
    """

    def __init__(self, model: Any, windows: Sequence[int | None], beginning: Tokens) -> None:
        self.model = model
        self.beginning = BatchRow(-1, Draft(beginning), len(beginning), 0)
        self.parts: list[RowTokens] = []
        self._layers = [RowLayer(self, number, window) for number, window in enumerate(windows)]
        self._cache = Cache(layers=self._layers)
        self._masks: dict[tuple[int, int | None], torch.Tensor] = {}
        self._offset = 0  # tokens of the beginning, once it is in the cache
        self._calls = 0  # of attention in this step
        while self.beginning.missing:
            self.compute([(self.beginning, self.beginning.missing[:STEP_TOKENS], 0)])
        self._offset = len(beginning)

    @torch.inference_mode()  # type: ignore[untyped-decorator]  # torch is not followed
    def compute(self, chosen: Sequence[tuple[BatchRow, Tokens, int]]) -> list[Tokens]:
        """Compute tokens of rows, the last of them guesses, and add them to the rows' caches.

        Returns for each row the most likely token after its last known one and after each guess; nothing if there are
        known tokens that it has not computed yet.
        """
        self.parts, self._masks = [], {}
        for row, tokens, guessed in chosen:
            self.parts.append(RowTokens(row, self.parts[-1].end if self.parts else 0, tokens, guessed))
            row.capacity = max(row.capacity, row.cached + len(tokens) - self._offset)
        wanted = [range(part.end - part.guessed - 1, part.end) if _is_last(part) else range(0) for part in self.parts]
        kept = [place for places in wanted for place in places]
        best = self._best_tokens(kept or [0])
        results = []
        for part, places in zip(self.parts, wanted, strict=True):
            part.row.cached += len(part.tokens)
            results.append([best[kept.index(place)] for place in places])
        return results

    def _best_tokens(self, places: list[int]) -> Tokens:
        tokens = [token for part in self.parts for token in part.tokens]
        positions = [part.row.cached + at for part in self.parts for at in range(len(part.tokens))]
        for layer in self._layers:
            layer.new_keys = None
        self._calls = 0
        with attention_by(self._attend):
            logits = self.model(
                torch.tensor([tokens]),
                position_ids=torch.tensor([positions]),
                attention_mask=torch.ones(1, 1, len(tokens), len(tokens), dtype=torch.bool),  # else the model makes one
                cache=self._cache,
                use_cache=True,
                logits_to_keep=torch.tensor(places),
            ).logits[0]
        if self._calls < len(self._layers):
            raise GenerationFailed("the model computes attention in its own way")
        best: Tokens = logits.argmax(-1).tolist()
        return best

    def write(self, part: RowTokens, layer: int, states: torch.Tensor) -> None:
        """Write keys and values of a part into its row's cache."""
        row, start = part.row, part.row.cached - self._offset
        own = row.states.get(layer)
        if own is None or own.shape[2] < row.capacity:
            grown = states.new_empty(2, states.shape[1], row.capacity, states.shape[3])
            if own is not None:
                grown[:, :, :start] = own[:, :, :start]
            row.states[layer] = own = grown
        own[:, :, start : start + len(part.tokens)] = states

    def _attend(
        self, _module: Any, query: torch.Tensor, key: torch.Tensor, _value: Any, _mask: Any, **options: Any
    ) -> tuple[torch.Tensor, None]:
        """Attention with the arguments and results of transformers' attention functions."""
        self._calls += 1
        layer = next((layer for layer in self._layers if layer.new_keys is key), None)
        if layer is None or options.get("position_bias") is not None or options.get("softcap") is not None:
            raise GenerationFailed("the model's attention has a bias, a cap, or keys of its own")
        _, all_heads, tokens, size = query.shape
        heads = key.shape[1]
        group = all_heads // heads  # heads of the query that have the same keys
        query = query.reshape(heads, group, tokens, size).transpose(1, 2).reshape(1, heads, tokens * group, size)
        # this function also returns the logarithm of the sum of weights, with which the results of two parts are joined
        attend = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu.default
        scale = options.get("scaling")
        outputs, sums = [], []
        for part in self.parts:
            start = part.row.cached - self._offset
            first = 0 if layer.window is None else max(0, start + 1 - layer.window)
            states = part.row.states[layer.number][:, None, :, first : start + len(part.tokens)]
            own = query[:, :, part.first * group : part.end * group]
            own_mask = self._mask(part, first, layer.window, group, query.dtype) if len(part.tokens) > 1 else None
            output, log_sum = attend(own, states[0], states[1], attn_mask=own_mask, scale=scale)
            outputs.append(output)
            sums.append(log_sum)
        output = torch.cat(outputs, 2)
        if self._offset:
            states = self.beginning.states[layer.number][:, None, :, : self._offset]
            before, before_sum = attend(query, states[0], states[1], scale=scale)
            weight = torch.sigmoid(torch.cat(sums, 2) - before_sum).unsqueeze(-1)
            output = (before + weight * (output - before)).to(output.dtype)
        output = output.reshape(heads, tokens, group, size).transpose(0, 1)
        return output.reshape(1, tokens, all_heads, size), None

    def _mask(self, part: RowTokens, first: int, window: int | None, group: int, dtype: torch.dtype) -> torch.Tensor:
        """The mask of the tokens that each token of a part sees among its row's own tokens from `first` on."""
        mask = self._masks.get((part.first, window))
        if mask is None:
            place = part.row.cached - self._offset - first + torch.arange(len(part.tokens)).unsqueeze(1)
            other = torch.arange(int(place[-1]) + 1)
            hidden = other > place
            if window is not None:
                hidden |= other <= place - window
            mask = torch.zeros(hidden.shape, dtype=dtype).masked_fill(hidden, -torch.inf)
            mask = self._masks[part.first, window] = mask.repeat_interleave(group, 0)[None, None]
        return mask


def _is_last(part: RowTokens) -> bool:
    """Whether the part holds all missing known tokens of its row, besides guesses."""
    return len(part.tokens) - part.guessed == len(part.row.missing)
