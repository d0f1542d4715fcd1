"""Writes a tiny random model without any library: a Llama of one layer, and a tokenizer of single bytes.

It loads wherever models do: workers run it as a canary, and tests break copies of it on purpose.
"""

from __future__ import annotations

import json
import math
import struct
from random import Random
from typing import Any

WIDTH, INNER, HEADS = 16, 32, 2
CONTEXT = 4096
LETTERS = 256
VOCABULARY = LETTERS + 1
TEMPLATE = "{% for m in messages %}{{ m.role }}: {{ m.content }}\n{% endfor %}"

Tensors = dict[str, tuple[str, tuple[int, ...], bytes]]


def config(**changes: Any) -> dict[str, object]:
    """config.json of the working model, with `changes`; None removes a field."""
    fields = {
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        "vocab_size": VOCABULARY,
        "hidden_size": WIDTH,
        "intermediate_size": INNER,
        "num_hidden_layers": 1,
        "num_attention_heads": HEADS,
        "num_key_value_heads": HEADS,
        "max_position_embeddings": CONTEXT,
        "rms_norm_eps": 1e-6,
        "bos_token_id": 0,
        "eos_token_id": 0,
        "pad_token_id": 0,
        "tie_word_embeddings": False,
        "dtype": "float32",
        **changes,
    }
    return {name: value for name, value in fields.items() if value is not None}


def floats(count: int, seed: int, scale: float = 0.5) -> bytes:
    """`count` numbers as float32, the same for the same seed."""
    random = Random(seed)  # noqa: S311  # reproducible on purpose
    return struct.pack(f"<{count}f", *(random.gauss(0, scale) for _ in range(count)))


def tensors(layers: int = 1, **shapes: tuple[int, ...]) -> Tensors:
    """The weights of a model with `layers` layers; `shapes` replace or add tensors."""
    named: dict[str, tuple[int, ...]] = {"model.embed_tokens.weight": (VOCABULARY, WIDTH)}
    for layer in range(layers):
        part = f"model.layers.{layer}"
        named |= {f"{part}.self_attn.{kind}_proj.weight": (WIDTH, WIDTH) for kind in "qkvo"}
        named |= {f"{part}.mlp.{kind}_proj.weight": (INNER, WIDTH) for kind in ("gate", "up")}
        named |= {f"{part}.mlp.down_proj.weight": (WIDTH, INNER)}
        named |= {f"{part}.{kind}_layernorm.weight": (WIDTH,) for kind in ("input", "post_attention")}
    named |= {"model.norm.weight": (WIDTH,), "lm_head.weight": (VOCABULARY, WIDTH), **shapes}
    return {name: ("F32", shape, floats(math.prod(shape), seed)) for seed, (name, shape) in enumerate(named.items())}


def safetensors(contents: Tensors) -> bytes:
    """A safetensors file with `contents`."""
    head: dict[str, Any] = {"__metadata__": {"format": "pt"}}
    offset = 0
    for name, (kind, shape, data) in contents.items():
        head[name] = {"dtype": kind, "shape": list(shape), "data_offsets": [offset, offset + len(data)]}
        offset += len(data)
    text = json.dumps(head).encode()
    text += b" " * (-len(text) % 8)
    return len(text).to_bytes(8, "little") + text + b"".join(data for _, _, data in contents.values())


def letters() -> list[str]:
    """The printable characters that stand for all bytes in byte-level tokenizers."""
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = [byte for byte in range(256) if byte not in printable]
    return [chr(byte) for byte in printable] + [chr(256 + number) for number in range(len(others))]


def tokenizer(extra_tokens: int = 0) -> dict[str, bytes]:
    """A tokenizer of bytes; `extra_tokens` in front shift every letter beyond the model's vocabulary."""
    names = ["<end>", *(f"<extra {number}>" for number in range(extra_tokens)), *letters()]
    byte_level = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": False}
    file: dict[str, Any] = {
        "version": "1.0",
        "added_tokens": [],
        "normalizer": None,
        "pre_tokenizer": byte_level,
        "post_processor": None,
        "decoder": byte_level,
        "model": {
            "type": "BPE",
            "vocab": {name: number for number, name in enumerate(names)},
            "merges": [],
        },
    }
    special = {"bos_token": "<end>", "eos_token": "<end>", "pad_token": "<end>"}
    settings = {"tokenizer_class": "PreTrainedTokenizerFast", "chat_template": TEMPLATE, **special}
    return {"tokenizer.json": _json(file), "tokenizer_config.json": _json(settings)}


def model(**changes: Any) -> dict[str, bytes]:
    """All files of the working model; `changes` apply to its config."""
    return {"config.json": _json(config(**changes)), "model.safetensors": safetensors(tensors()), **tokenizer()}


def _json(value: Any) -> bytes:
    return json.dumps(value).encode()
