"""What the harness pads and then throws away again."""

from __future__ import annotations

import torch


def unread_positions(tokens: torch.Tensor, longest: int) -> int:
    """How many positions at the start of every row the harness throws away: those before any answer can begin.

    `tokens` [batch, sequence] is padded with zeros at its right; `longest` is the most tokens that an answer has. The
    harness takes logits that lack these positions for those of shorter prompts. Where it gets them, it makes
    log-probabilities of them all: for every token of a prompt as many as there are words, often the largest tensor.
    """
    places = torch.arange(1, tokens.shape[1] + 1, device=tokens.device)
    used = (tokens.ne(0) * places).amax(1)  # a prompt that ends in a token 0 counts as shorter, which is safe
    return max(0, int(used.min()) - longest)
