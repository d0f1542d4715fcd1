"""Tiny random models of many architectures, for comparisons of two ways to compute the same numbers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

VOCABULARY = 320
SHAPE: dict[str, Any] = {
    "vocab_size": VOCABULARY,
    "hidden_size": 32,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "intermediate_size": 48,
    "max_position_embeddings": 256,
    "bos_token_id": 1,
    "eos_token_id": 2,
    "pad_token_id": 0,
    "initializer_range": 0.3,
}
MULTI_HEAD = {key: value for key, value in SHAPE.items() if key != "num_key_value_heads"}
GPT2 = {"vocab_size": VOCABULARY, "n_embd": 32, "n_layer": 2, "n_head": 4, "n_positions": 256, "initializer_range": 0.3}
EXPERTS = {"num_experts_per_tok": 2, "num_local_experts": 4, "num_experts": 4, "moe_intermediate_size": 32}
LATENT = {"q_lora_rank": 16, "kv_lora_rank": 16, "qk_rope_head_dim": 8, "qk_nope_head_dim": 8, "v_head_dim": 8}
ROUTED = {"n_routed_experts": 4, "num_experts_per_tok": 2, "n_group": 1, "topk_group": 1, "moe_intermediate_size": 32}
SHARED_CACHE = {
    "sliding_window": 11,
    "head_dim": 8,
    "num_hidden_layers": 4,
    "num_kv_shared_layers": 2,
    "layer_types": ["sliding_attention", "full_attention"] * 2,
    "vocab_size_per_layer_input": VOCABULARY,
    "hidden_size_per_layer_input": 8,
}
"""Layers that read the keys and values of other layers."""
LONGROPE = {
    "rope_type": "longrope",
    "rope_theta": 10_000.0,
    "short_factor": [1.0] * 4,
    "long_factor": [4.0] * 4,
    "original_max_position_embeddings": 64,
}
FAMILIES: Mapping[str, dict[str, Any]] = {
    "llama": SHAPE,
    "llama/dynamic": SHAPE
    | {"max_position_embeddings": 64, "rope_parameters": {"rope_type": "dynamic", "factor": 4.0, "rope_theta": 1e4}},
    "mistral": SHAPE | {"sliding_window": 11, "head_dim": 8},
    "qwen2": SHAPE,
    "qwen3": SHAPE | {"head_dim": 8},
    "qwen2_moe": SHAPE | EXPERTS | {"shared_expert_intermediate_size": 32},
    "gemma": SHAPE | {"head_dim": 8},
    "gemma2/wide": SHAPE | {"sliding_window": 200, "head_dim": 8},
    "gemma2": SHAPE | {"sliding_window": 11, "head_dim": 8},
    "gemma3_text": SHAPE | {"sliding_window": 11, "head_dim": 8},
    "phi": MULTI_HEAD,
    "phi3": SHAPE,
    "phi3/longrope": SHAPE | {"rope_parameters": LONGROPE, "original_max_position_embeddings": 64},
    "gpt2": GPT2,
    "gpt_neo": {"vocab_size": VOCABULARY, "hidden_size": 32, "num_layers": 2, "num_heads": 4, "window_size": 11}
    | {"attention_types": [[["global", "local"], 1]], "max_position_embeddings": 256, "initializer_range": 0.3},
    "gpt_neox": MULTI_HEAD,
    "gptj": GPT2 | {"rotary_dim": 8},
    "gpt_bigcode": GPT2,
    "opt": MULTI_HEAD | {"ffn_dim": 48, "word_embed_proj_dim": 32},
    "bloom": {"vocab_size": VOCABULARY, "hidden_size": 32, "n_layer": 2, "n_head": 4, "initializer_range": 0.3},
    "falcon": MULTI_HEAD,
    "falcon/alibi": MULTI_HEAD | {"alibi": True},
    "mpt": {
        "vocab_size": VOCABULARY,
        "d_model": 32,
        "n_layers": 2,
        "n_heads": 4,
        "max_seq_len": 256,
        "initializer_range": 0.3,
    },
    "mixtral": SHAPE | EXPERTS,
    "olmo": SHAPE,
    "olmo2": SHAPE,
    "stablelm": SHAPE,
    "starcoder2": SHAPE | {"sliding_window": 11},
    "cohere": SHAPE,
    "cohere2": SHAPE
    | {"sliding_window": 11, "layer_types": ["sliding_attention", "full_attention"] * 2, "num_hidden_layers": 4},
    "granite": SHAPE,
    "glm4": SHAPE | {"head_dim": 8},
    "smollm3": SHAPE,
    "gpt_oss": SHAPE | EXPERTS | {"sliding_window": 11, "head_dim": 8},
    "deepseek_v2": MULTI_HEAD | LATENT | ROUTED,
    "deepseek_v3": MULTI_HEAD | LATENT | ROUTED,
    "deepseek_v32": MULTI_HEAD | LATENT | ROUTED | {"index_n_heads": 2, "index_head_dim": 8, "index_topk": 16},
    "glm4_moe": SHAPE | ROUTED | {"head_dim": 8},
    "hunyuan_v1_dense": SHAPE | {"head_dim": 8},
    "mimo_v2_flash": SHAPE | EXPERTS | {"sliding_window": 11, "head_dim": 8},
    "minimax": SHAPE | EXPERTS | {"head_dim": 8, "block_size": 16},
    "gemma3n_text": SHAPE
    | SHARED_CACHE
    | {"laurel_rank": 4, "activation_sparsity_pattern": [0.0] * 4, "intermediate_size": [48] * 4},
    "gemma4_text": SHAPE | SHARED_CACHE | {"global_head_dim": 8},
    "modernbert-decoder": MULTI_HEAD | {"local_attention": 22, "sliding_window": 11},
    "moshi": SHAPE | {"sliding_window": 11, "head_dim": 8, "ffn_dim": 48},
    "bert": MULTI_HEAD,
    "bart": {"vocab_size": VOCABULARY, "d_model": 32, "decoder_layers": 2, "decoder_attention_heads": 4}
    | {"decoder_ffn_dim": 48, "max_position_embeddings": 256, "init_std": 0.3},
    "falcon_h1": SHAPE,
    "llama4_text": SHAPE | EXPERTS | {"head_dim": 8, "attention_chunk_size": 11, "intermediate_size_mlp": 48},
    "xglm": {
        "vocab_size": VOCABULARY,
        "d_model": 32,
        "num_layers": 2,
        "attention_heads": 4,
        "ffn_dim": 48,
        "max_position_embeddings": 256,
    },
    "biogpt": MULTI_HEAD,
    "cpmant": SHAPE | {"dim_head": 8, "dim_ff": 48, "prompt_length": 4, "init_std": 0.3},
    "openai-gpt": GPT2,
    "mamba": {"vocab_size": VOCABULARY, "hidden_size": 32, "num_hidden_layers": 2, "state_size": 4},
    "rwkv": {
        "vocab_size": VOCABULARY,
        "hidden_size": 32,
        "num_hidden_layers": 2,
        "attention_hidden_size": 32,
        "context_length": 256,
    },
    "jamba": SHAPE | {"attn_layer_period": 2, "attn_layer_offset": 1, "num_experts": 2, "use_mamba_kernels": False},
    "recurrent_gemma": SHAPE | {"lru_width": 32, "attention_window_size": 11, "head_dim": 8},
    "lfm2": SHAPE | {"layer_types": ["conv", "full_attention", "conv"]},
    "qwen3_next": SHAPE
    | EXPERTS
    | {"layer_types": ["linear_attention", "full_attention", "linear_attention"], "head_dim": 8},
}
"""Architecture, with a variant behind a slash → its config."""


def random_model(family: str) -> Any:
    """A model of `family` with random weights, the same each time.

    torch then uses one thread: on a busy machine, threads with little to do wait for each other.
    """
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM

    torch.set_num_threads(1)
    torch.manual_seed(0)
    config = AutoConfig.for_model(family.partition("/")[0], **FAMILIES[family])
    return AutoModelForCausalLM.from_config(config).float().eval()
