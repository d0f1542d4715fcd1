"""Files of a tiny base model, an adapter and a delta for it, and the complete models that they must be equal to."""

from __future__ import annotations

import json
import struct
from random import Random

from workers.models.tiny_model import WIDTH, Tensors, model, safetensors, tensors

Files = dict[str, bytes]
RANK, ALPHA = 2, 4
TARGETS = ("q_proj", "v_proj")
PREFIX = "model.layers.0.self_attn"


def base() -> Files:
    """The base model."""
    return model()


def _numbers(count: int, seed: int) -> list[float]:
    random = Random(seed)
    return [random.gauss(0, 0.5) for _ in range(count)]


def _packed(numbers: list[float]) -> bytes:
    return struct.pack(f"<{len(numbers)}f", *numbers)


def _unpacked(data: bytes) -> list[float]:
    return list(struct.unpack(f"<{len(data) // 4}f", data))


def _low_rank(target: str) -> tuple[list[float], list[float]]:
    """The two matrices of an adapter: A of (RANK, WIDTH), B of (WIDTH, RANK)."""
    seed = TARGETS.index(target)
    return _numbers(RANK * WIDTH, 100 + seed), _numbers(WIDTH * RANK, 200 + seed)


def adapter(*, without: str = "", base_model: str = "ada/base") -> Files:
    """Return a LoRA of two projections; `without` leaves out the weights of one of them."""
    contents: Tensors = {}
    for target in TARGETS:
        a, b = _low_rank(target)
        if target != without:
            name = f"base_model.model.{PREFIX}.{target}"
            contents[f"{name}.lora_A.weight"] = ("F32", (RANK, WIDTH), _packed(a))
            contents[f"{name}.lora_B.weight"] = ("F32", (WIDTH, RANK), _packed(b))
    config = {
        "peft_type": "LORA",
        "task_type": "CAUSAL_LM",
        "base_model_name_or_path": base_model,
        "r": RANK,
        "lora_alpha": ALPHA,
        "target_modules": list(TARGETS),
        "bias": "none",
        "inference_mode": True,
    }
    return {"adapter_config.json": json.dumps(config).encode(), "adapter_model.safetensors": safetensors(contents)}


def prompt() -> Files:
    """Return an adapter that adds tokens to the prompt."""
    contents: Tensors = {"prompt_embeddings": ("F32", (RANK, WIDTH), _packed(_numbers(RANK * WIDTH, 400)))}
    config = {
        "peft_type": "PROMPT_TUNING",
        "task_type": "CAUSAL_LM",
        "base_model_name_or_path": "ada/base",
        "num_virtual_tokens": RANK,
        "token_dim": WIDTH,
        "num_transformer_submodules": 1,
        "inference_mode": True,
    }
    return {"adapter_config.json": json.dumps(config).encode(), "adapter_model.safetensors": safetensors(contents)}


def merged() -> Files:
    """Return the base model with the product of the adapter's matrices added to its own weights."""
    contents = tensors()
    for target in TARGETS:
        a, b = _low_rank(target)
        name = f"{PREFIX}.{target}.weight"
        kind, shape, data = contents[name]
        own = _unpacked(data)
        for row in range(WIDTH):
            for column in range(WIDTH):
                product = sum(b[row * RANK + k] * a[k * WIDTH + column] for k in range(RANK))
                own[row * WIDTH + column] += ALPHA / RANK * product
        contents[name] = (kind, shape, _packed(own))
    return {**base(), "model.safetensors": safetensors(contents)}


def _difference() -> Tensors:
    return {
        name: (kind, shape, _packed(_numbers(len(data) // 4, 300 + number)))
        for number, (name, (kind, shape, data)) in enumerate(tensors().items())
    }


def delta(*, without: str = "") -> Files:
    """Return a difference for every tensor of the base model, in two shards; `without` leaves one out."""
    differences = {name: tensor for name, tensor in _difference().items() if name != without}
    names = list(differences)
    shards = {"model-00001-of-00002.safetensors": names[:5], "model-00002-of-00002.safetensors": names[5:]}
    index = {"metadata": {}, "weight_map": {name: shard for shard, inside in shards.items() for name in inside}}
    files = {name: data for name, data in base().items() if name != "model.safetensors"}
    files |= {shard: safetensors({name: differences[name] for name in inside}) for shard, inside in shards.items()}
    return {**files, "model.safetensors.index.json": json.dumps(index).encode()}


def summed() -> Files:
    """Return the base model plus the delta, added in 32 bits as a GPU does."""
    contents: Tensors = {}
    for (name, (kind, shape, data)), change in zip(tensors().items(), _difference().values(), strict=True):
        total = [own + more for own, more in zip(_unpacked(data), _unpacked(change[2]), strict=True)]
        contents[name] = (kind, shape, _packed(total))
    return {**base(), "model.safetensors": safetensors(contents)}
