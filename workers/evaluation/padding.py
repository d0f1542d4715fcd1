"""Counts the padded positions whose logits the harness discards; imports torch alone, not the harness."""

from __future__ import annotations

import torch


def unread_positions(tokens: torch.Tensor, longest_answer: int) -> int:
    """The number of positions at the start of every row that the harness discards: no answer begins before them.

    `tokens` [batch, sequence] is padded with zeros on the right; `longest_answer` is a number of tokens. Without these
    positions the harness sees logits of shorter prompts. With them it computes log-probabilities over the whole
    vocabulary for each prompt token, which is often the largest tensor.
    """
    positions = torch.arange(1, tokens.shape[1] + 1, device=tokens.device)
    lengths = (tokens.ne(0) * positions).amax(1)  # a prompt that ends in a token 0 counts as shorter, which is safe
    return max(0, int(lengths.min()) - longest_answer)
