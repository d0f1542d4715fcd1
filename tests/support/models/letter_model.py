"""A tiny random model whose tokens are letters, and prompts for it."""

from __future__ import annotations

from typing import Any

import torch

PROMPTS = [[(seed * 7 + at * at) % 25 + 1 for at in range(3 + seed * 5)] for seed in range(9)]
SHARED = [[(at * 5) % 25 + 1 for at in range(70)] + prompt for prompt in PROMPTS]
"""The same prompts after a shared prefix of 70 tokens."""


def llama(kind: str = "llama", **config: Any) -> Any:
    """A tiny random model, whose logits are far from each other."""
    from transformers import AutoConfig, AutoModelForCausalLM

    torch.manual_seed(0)
    sizes: dict[str, Any] = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "vocab_size": 26}
    heads = {"num_attention_heads": 4, "num_key_value_heads": 2, "max_position_embeddings": 512}
    model = AutoModelForCausalLM.from_config(
        AutoConfig.for_model(kind, **{**sizes, **heads, "eos_token_id": 0, **config})
    )
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.5)
    return model.eval()
