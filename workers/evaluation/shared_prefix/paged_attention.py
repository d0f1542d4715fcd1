"""Attention of transformers' continuous batching on a CPU.

There it is one call for all answers of a batch: each new token is compared with the tokens of all answers, and most of
the result is masked. Here each answer attends to its own tokens. If all answers have one new token, the keys and values
are read where they are in the cache, and a page that several answers share is read once for all of them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import groupby, pairwise
from typing import Any

import torch
from torch.nn.functional import scaled_dot_product_attention
from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS, AttentionInterface


@contextmanager
def attention_by_answer() -> Iterator[None]:
    """Compute `sdpa` attention of continuous batching with this module, and all other as before."""
    usual = ALL_ATTENTION_FUNCTIONS["sdpa"]
    AttentionInterface.register("sdpa", _Attention(usual))
    try:
        yield
    finally:
        AttentionInterface.register("sdpa", usual)


class _Attention:
    """Attention with the arguments and results of transformers' attention functions; `usual` is the one for `sdpa`."""

    def __init__(self, usual: Callable[..., Any]) -> None:
        self._usual = usual
        self._step: object = None
        self._reads: PageReads | None = None

    def __call__(
        self, module: Any, query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, mask: Any, **options: Any
    ) -> tuple[torch.Tensor, None]:
        # a layer with another layer's keys updates no cache, which would choose the lengths of its kind of attention
        shares_keys = options.get("block_table") is None and isinstance(options.get("cu_seq_lens_k"), dict)
        if "write_index" not in options or shares_keys:
            result: tuple[torch.Tensor, None] = self._usual(module, query, key, value, mask, **options)
            return result
        if options.get("position_bias") is not None or options.get("softcap") is not None:
            raise ValueError("the attention has a bias or a cap")
        if options["block_table"] is None:
            return self._attend_by_answer(module, query, key, value, mask, options), None
        if self._step is not options["cu_seq_lens_q"]:  # the first layer of this step
            self._step = options["cu_seq_lens_q"]
            lengths = [end - start for start, end in pairwise(options["cu_seq_lens_k"].tolist())]
            self._reads = PageReads.of(options["block_table"].tolist(), lengths, options["k_cache"].shape[1])
        assert self._reads is not None
        key_pages, value_pages = options["k_cache"], options["v_cache"]
        self._reads.write(key_pages, key)
        self._reads.write(value_pages, value)
        return self._reads.attend(query, key_pages, value_pages, options.get("scaling")), None

    def _attend_by_answer(
        self,
        module: Any,
        query: torch.Tensor,
        key: torch.Tensor,
        value: torch.Tensor,
        mask: torch.Tensor,
        options: Mapping[str, Any],
    ) -> torch.Tensor:
        """Attention of answers and prompts in one sequence, each to its own tokens."""
        queries, keys = (list(pairwise(options[name].tolist())) for name in ("cu_seq_lens_q", "cu_seq_lens_k"))
        lengths = [end - start for start, end in keys]
        scaling, outputs = options.get("scaling"), []
        for (start, end), (key_start, key_end), own_key, own_value in zip(
            queries, keys, key.split(lengths, 2), value.split(lengths, 2), strict=True
        ):
            own = query[:, :, start:end]
            if end - start == 1:  # it sees all tokens that the cache returns; heads with the same keys are one batch
                own = own.reshape(1, key.shape[1], -1, own.shape[-1])
                output = scaled_dot_product_attention(own, own_key, own_value, scale=scaling)
                outputs.append(output.reshape(1, 1, query.shape[1], -1))
            else:
                own_mask = mask[:, :, start:end, key_start:key_end]
                output, _ = self._usual(module, own, own_key, own_value, own_mask, scaling=scaling)
                outputs.append(output)
        return torch.cat(outputs, 1)


@dataclass(frozen=True)
class PageReads:
    """The pages of the cache that a batch reads when each row of it has one new token.

    `new_tokens` are the places in the cache of the new tokens. `calls` are calls of attention: first row, end of the
    rows, page and number of its tokens. `parts` are the results that belong to each row, as places in the order of all
    results; a row with fewer parts is padded with the number of all results.
    """

    new_tokens: torch.Tensor
    calls: Sequence[tuple[int, int, int, int]]
    parts: torch.Tensor

    @classmethod
    def of(cls, table: Sequence[Sequence[int]], lengths: Sequence[int], page_tokens: int) -> PageReads:
        """The reads of rows that have `lengths` tokens in the pages that `table` lists."""
        new_tokens, parts = list[int](), [list[int]() for _ in lengths]
        for row, length in enumerate(lengths):
            page, place = divmod(length - 1, page_tokens)
            new_tokens.append(table[row][page] * page_tokens + place)
        calls, results = list[tuple[int, int, int, int]](), 0
        for at in range((max(lengths) - 1) // page_tokens + 1):
            rows = [row for row, length in enumerate(lengths) if length > at * page_tokens]
            reads = [(table[row][at], min(page_tokens, lengths[row] - at * page_tokens), row) for row in rows]
            # rows that follow each other and read the same page are one call
            for _, group in groupby(enumerate(reads), lambda read: (read[1][:2], read[1][2] - read[0])):
                together = [read for _, read in group]
                page, tokens, first = together[0]
                calls.append((first, first + len(together), page, tokens))
                for _, _, row in together:
                    parts[row].append(results)
                    results += 1
        most = max(map(len, parts))
        padded = [[*row, *[results] * (most - len(row))] for row in parts]
        return cls(torch.tensor(new_tokens), calls, torch.tensor(padded))

    def write(self, pages: torch.Tensor, new: torch.Tensor) -> None:
        """Write the new tokens' keys or values."""
        pages.view(-1, *pages.shape[2:]).index_copy_(0, self.new_tokens, new[0].transpose(0, 1))

    def attend(
        self, query: torch.Tensor, key_pages: torch.Tensor, value_pages: torch.Tensor, scaling: float | None
    ) -> torch.Tensor:
        """Attention of each row's new token to the tokens of its pages."""
        _, all_heads, rows, size = query.shape
        heads = key_pages.shape[2]
        group = all_heads // heads  # heads of the query that have the same keys
        query = query.view(heads, group, rows, size).transpose(1, 2).reshape(1, heads, rows * group, size)
        key_pages, value_pages = key_pages.transpose(1, 2), value_pages.transpose(1, 2)
        # this one returns the logarithm of the sum of weights, too, by which the results of pages can be joined
        attend = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu.default
        outputs, sums = [], []
        for first, end, page, tokens in self.calls:
            output, log_sum = attend(
                query[:, :, first * group : end * group],
                key_pages[page : page + 1, :, :tokens],
                value_pages[page : page + 1, :, :tokens],
                scale=scaling,
            )
            outputs.append(output)
            sums.append(log_sum)
        parts = self.parts.flatten()
        shape = (heads, rows, self.parts.shape[1], group)
        sums.append(torch.full((1, heads, group), -torch.inf))
        outputs.append(outputs[0].new_zeros(1, heads, group, size))
        weights = torch.cat(sums, 2).view(heads, -1, group).index_select(1, parts).view(shape).softmax(2)
        values = torch.cat(outputs, 2).view(heads, -1, group, size).index_select(1, parts).view(*shape, size)
        joined = (values * weights.unsqueeze(-1)).sum(2).to(query.dtype)
        return joined.transpose(0, 1).reshape(1, rows, all_heads, size)
