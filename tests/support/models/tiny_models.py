"""Generates tiny real models of several architectures; a complete one has a few hundred kilobytes."""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

VOCABULARY = 320
EOS = "<|endoftext|>"
WEIGHTS = "model.safetensors"
TEMPLATE = "{% for message in messages %}{{ message.role }}: {{ message.content }}\n{% endfor %}"
TEXT = "This model was made from nothing, by a program, to see whether it is let in. " * 4
SHAPE = {"vocab_size": VOCABULARY, "hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2}
SHAPE |= {"intermediate_size": 32, "max_position_embeddings": 64, "bos_token_id": 256, "eos_token_id": 256}
KINDS: Mapping[str, dict[str, Any]] = {
    "llama": {**SHAPE, "num_key_value_heads": 2},
    "mistral": {**SHAPE, "num_key_value_heads": 1},
    "qwen2": {**SHAPE, "num_key_value_heads": 2},
    "phi": SHAPE,
    "gpt_neox": SHAPE,
    "gpt2": {"vocab_size": VOCABULARY, "n_embd": 16, "n_layer": 2, "n_head": 2, "n_positions": 64}
    | {"bos_token_id": 256, "eos_token_id": 256},
}
"""Model type → its config."""


RECORD = Path(__file__).with_suffix(".json")
"""Config and tensor shapes of each type, as transformers writes them: `python -m tests.support.models.tiny_models`."""


def built(kind: str) -> dict[str, Any]:
    """What transformers writes for a model of this type: its config and the shapes of its tensors."""
    from safetensors import safe_open
    from transformers import AutoConfig, AutoModelForCausalLM

    model = AutoModelForCausalLM.from_config(AutoConfig.for_model(kind, **KINDS[kind]))
    with TemporaryDirectory() as folder:
        model.save_pretrained(folder)
        config = json.loads((Path(folder) / "config.json").read_bytes())
        del config["transformers_version"], config["dtype"]
        with safe_open(Path(folder) / WEIGHTS, "pt") as file:
            shapes = {name: file.get_slice(name).get_shape() for name in file.keys()}  # noqa: SIM118 - it is no dict
    return {"config": config, "shapes": shapes}


@cache
def whole(kind: str, *, dtype: str = "bfloat16", shards: bool = False) -> dict[str, bytes]:
    """A complete model: weights, config, tokenizer with a chat template, and a card."""
    recorded = json.loads(RECORD.read_bytes())[kind]
    config = json.dumps({**recorded["config"], "dtype": dtype}).encode()
    kind_of_number = {"bfloat16": "BF16", "float32": "F32"}[dtype]
    tensors = {name: (kind_of_number, shape) for name, shape in recorded["shapes"].items()}
    weights = _in_shards(tensors) if shards else {WEIGHTS: safetensors(tensors)}
    return {**weights, "config.json": config, **tokenizer(), "README.md": card()}


def _in_shards(tensors: Mapping[str, tuple[str, list[int]]]) -> dict[str, bytes]:
    """Four weight files and their index."""
    places = {name: f"model-{number % 4 + 1:05}-of-00004.safetensors" for number, name in enumerate(tensors)}
    index = {"metadata": {}, "weight_map": places}
    parts = {place: {name: tensors[name] for name in tensors if places[name] == place} for place in places.values()}
    return {
        "model.safetensors.index.json": json.dumps(index).encode(),
        **{place: safetensors(part) for place, part in parts.items()},
    }


@cache
def tokenizer(words: int = VOCABULARY) -> dict[str, bytes]:
    """A tokenizer of bytes with `words` tokens."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers

    vocabulary = {char: number for number, char in enumerate(sorted(pre_tokenizers.ByteLevel.alphabet()))}
    vocabulary[EOS] = len(vocabulary)
    vocabulary |= {f"word{number}": number for number in range(len(vocabulary), words)}
    built = Tokenizer(models.BPE(vocabulary, []))
    built.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    built.decoder = decoders.ByteLevel()
    settings = {"tokenizer_class": "PreTrainedTokenizerFast", "bos_token": EOS, "eos_token": EOS}
    return {
        "tokenizer.json": built.to_str().encode(),
        "tokenizer_config.json": json.dumps({**settings, "chat_template": TEMPLATE}).encode(),
    }


def card(text: str = TEXT, **metadata: Any) -> bytes:
    """A model card."""
    lines = {"license": "apache-2.0", **metadata}
    head = "".join(f"{name}: {json.dumps(value)}\n" for name, value in lines.items() if value is not None)
    return f"---\n{head}---\n{text}".encode()


def adapter(base: str, **config: Any) -> dict[str, bytes]:
    """A LoRA adapter of two tensors."""
    fields = {"base_model_name_or_path": base, "peft_type": "LORA", "r": 2, "target_modules": ["q_proj"], **config}
    name = "base_model.model.model.layers.0.self_attn.q_proj.lora_{}.weight"
    weights = safetensors({name.format("A"): ("F32", [2, 16]), name.format("B"): ("F32", [16, 2])})
    return {
        "adapter_config.json": json.dumps(fields).encode(),
        "adapter_model.safetensors": weights,
        "README.md": card(base_model=base),
    }


SIZES = {"F32": 4, "F16": 2, "BF16": 2, "I64": 8}


def safetensors(tensors: Mapping[str, tuple[str, list[int]]], **wrong: Any) -> bytes:
    """A file of zeros with these tensors (name → dtype, shape); `wrong` overrides fields of the first one's header."""
    header, end = {}, 0
    for name, (dtype, shape) in tensors.items():
        size = SIZES[dtype]
        for side in shape:
            size *= side
        header[name] = {"dtype": dtype, "shape": shape, "data_offsets": [end, end + size]}
        end += size
    header[next(iter(header))] |= wrong
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + bytes(end)


def changed(files: Mapping[str, bytes], name: str, **fields: Any) -> dict[str, bytes]:
    """`files` with fields of the JSON file `name` set, or removed if None."""
    merged = {**json.loads(files[name]), **fields}
    remaining = {field: value for field, value in merged.items() if value is not None}
    return {**files, name: json.dumps(remaining).encode()}


def without(files: Mapping[str, bytes], *names: str) -> dict[str, bytes]:
    """`files` without those of these names."""
    return {name: content for name, content in files.items() if name not in names}


if __name__ == "__main__":
    RECORD.write_text(json.dumps({kind: built(kind) for kind in KINDS}) + "\n")
