"""Files of models that are broken on purpose, and the cause with which each must fail."""

from __future__ import annotations

import json
import struct
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from workers.models.tiny_model import VOCABULARY, WIDTH, config, model, safetensors, tensors, tokenizer

Files = dict[str, bytes]
FIRST, SECOND = "model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"
INDEX = "model.safetensors.index.json"
FINE = "fine"


@dataclass(frozen=True)
class Broken:
    """One model: its name, the expected cause, its files, and the fields of its request that differ.

    `links` are symbolic links, path → target; `state` is `gated` or `gone` for problems of the repo itself.
    """

    name: str
    cause: str
    files: Callable[[], Files]
    asks: dict[str, Any] = field(default_factory=dict)
    links: dict[str, str] = field(default_factory=dict)
    state: str = ""


def _with(name: str, data: bytes, **changes: Any) -> Callable[[], Files]:
    return lambda: {**model(**changes), name: data}


def _without(*names: str) -> Callable[[], Files]:
    return lambda: {name: data for name, data in model().items() if name not in names}


def _weights(**changed: tuple[str, tuple[int, ...], bytes]) -> Files:
    """A working model, except for the given tensors, whose names have `_` for `.`."""
    contents = tensors()
    for name in contents:
        if (short := name.replace(".", "_")) in changed:
            contents[name] = changed[short]
    return {**model(), "model.safetensors": safetensors(contents)}


def _truncated() -> Files:
    whole = model()
    return {**whole, "model.safetensors": whole["model.safetensors"][:-1000]}


def _numbers(value: float) -> Files:
    data = struct.pack(f"<{WIDTH}f", *([value] * WIDTH))
    return _weights(model_norm_weight=("F32", (WIDTH,), data))


def _overflowing() -> Files:
    """Finite weights whose product is infinite."""
    data = struct.pack(f"<{VOCABULARY * WIDTH}f", *([3e38] * (VOCABULARY * WIDTH)))
    return _weights(lm_head_weight=("F32", (VOCABULARY, WIDTH), data))


def _sharded(*, names: tuple[str, str] = (FIRST, SECOND), upload: tuple[int, ...] = (0, 1)) -> Files:
    """A working model in two files, of which only those in `upload` exist, with an index that uses `names`."""
    items = list(tensors().items())
    halves = dict(items[:4]), dict(items[4:])
    files = {name: data for name, data in model().items() if name != "model.safetensors"}
    files |= {name: safetensors(halves[i]) for i, name in enumerate((FIRST, SECOND)) if i in upload}
    table = {tensor: names[i] for i, half in enumerate(halves) for tensor in half}
    return {**files, INDEX: json.dumps({"metadata": {"total_size": 1}, "weight_map": table}).encode()}


def _templated(template: str | None) -> Callable[[], Files]:
    def files() -> Files:
        whole = model()
        settings = json.loads(whole["tokenizer_config.json"])
        settings.pop("chat_template")
        if template is not None:
            settings["chat_template"] = template
        return {**whole, "tokenizer_config.json": json.dumps(settings).encode()}

    return files


def _endless_context() -> Files:
    """A GPT-Neo, which keeps a table of (context x context) bits, with a context of ten million tokens."""
    gpt = {
        "architectures": ["GPTNeoForCausalLM"],
        "model_type": "gpt_neo",
        "vocab_size": VOCABULARY,
        "hidden_size": WIDTH,
        "num_layers": 1,
        "num_heads": 2,
        "attention_types": [[["global"], 1]],
        "max_position_embeddings": 10_000_000,
        "bos_token_id": 0,
        "eos_token_id": 0,
    }
    return {**model(), "config.json": json.dumps(gpt).encode()}


def _never_stopping() -> Files:
    """A model that always generates the same letter and never an end token; its settings allow ten million tokens."""
    data = [0.0] * (VOCABULARY * WIDTH)
    favourite = 40
    data[favourite * WIDTH : (favourite + 1) * WIDTH] = [1.0] * WIDTH
    embedded = struct.pack(f"<{VOCABULARY * WIDTH}f", *([1.0] * (VOCABULARY * WIDTH)))
    files = _weights(
        lm_head_weight=("F32", (VOCABULARY, WIDTH), struct.pack(f"<{len(data)}f", *data)),
        model_embed_tokens_weight=("F32", (VOCABULARY, WIDTH), embedded),
        model_norm_weight=("F32", (WIDTH,), struct.pack(f"<{WIDTH}f", *([1.0] * WIDTH))),
    )
    settings = {"eos_token_id": 0, "pad_token_id": 0, "max_new_tokens": 10_000_000}
    small = {"config.json": json.dumps(config(max_position_embeddings=512)).encode()}
    return {**files, **small, "generation_config.json": json.dumps(settings).encode()}


def _json(value: Any) -> bytes:
    return json.dumps(value).encode()


def _generating(settings: Any) -> Callable[[], Files]:
    return _with("generation_config.json", _json(settings))


WORDS = config(hidden_size="sixteen")
ENDLESS = "{% for a in range(90000) %}{% for b in range(90000) %}{% endfor %}{% endfor %}"
CHAT = {"use_chat_template": True}

BROKEN: tuple[Broken, ...] = (
    # --- weights and files
    Broken("truncated", "weights-truncated", _truncated),
    Broken(
        "terabyte-header", "weights-header", _with("model.safetensors", (1 << 40).to_bytes(8, "little") + b"{}" * 8)
    ),
    Broken("header-no-json", "weights-header", _with("model.safetensors", (64).to_bytes(8, "little") + b"\xff" * 128)),
    Broken("wrong-shapes", "weights-shape", lambda: model(hidden_size=WIDTH * 2)),
    Broken("nan-weights", "weights-not-finite", lambda: _numbers(float("nan"))),
    Broken("too-large-for-half", "weights-not-finite", lambda: _numbers(1e6), asks={"precision": "float16"}),
    Broken("overflowing-logits", "not-a-number", _overflowing),
    Broken("missing-shard", "shard-missing", lambda: _sharded(upload=(0,))),
    Broken("missing-layers", "weights-incomplete", lambda: model(num_hidden_layers=3)),
    Broken(
        "pickles-only",
        "weights-pickled",
        lambda: {**_without("model.safetensors")(), "pytorch_model.bin": b"\x80\x02."},
    ),
    Broken("no-weights", "weights-missing", _without("model.safetensors")),
    Broken(
        "link-for-weights",
        "odd-files",
        _without("model.safetensors"),
        links={"model.safetensors": "../../../etc/passwd"},
    ),
    Broken("index-outside", "index-unusable", lambda: _sharded(names=(FIRST, "../../../../etc/passwd"))),
    Broken(
        "small-integers",
        "weights-dtype",
        lambda: _weights(lm_head_weight=("I8", (VOCABULARY, WIDTH), bytes(VOCABULARY * WIDTH))),
    ),
    # --- config
    Broken("unknown-type", "unknown-architecture", lambda: model(model_type="zorblax", architectures=["Zorblax"])),
    Broken(
        "remote-code",
        "remote-code-needed",
        lambda: model(model_type="own", auto_map={"AutoConfig": "own.Config", "AutoModelForCausalLM": "own.Model"}),
    ),
    Broken("pictures", "not-a-language-model", lambda: model(model_type="vit", architectures=["ViTModel"])),
    Broken("config-no-json", "config-unreadable", _with("config.json", b'{"model_type": "llama", ')),
    Broken("config-nested", "config-unreadable", _with("config.json", b'{"a":' * 100_000 + b"1" + b"}" * 100_000)),
    Broken("config-words", "config-invalid", _with("config.json", _json(WORDS))),
    Broken("no-config", "config-missing", _without("config.json")),
    Broken("absurd-size", "config-absurd", lambda: model(num_hidden_layers=10**9)),
    Broken("ten-million-context", "context-too-large", _endless_context),
    Broken("tiny-context", "context-too-short", lambda: model(max_position_embeddings=4)),
    Broken(
        "no-library",
        "library-missing",
        lambda: model(quantization_config={"quant_method": "gptq", "bits": 4, "group_size": 16, "desc_act": False}),
    ),
    Broken("odd-quantisation", "quantisation-unusable", lambda: model(quantization_config={"quant_method": "ternary"})),
    # --- tokenizer, chat template, generation
    Broken("no-tokenizer", "tokenizer-missing", _without("tokenizer.json", "tokenizer_config.json")),
    Broken("tokenizer-garbage", "tokenizer-unreadable", _with("tokenizer.json", b'{"version": "1.0", "model": 7}')),
    Broken("other-vocabulary", "tokenizer-mismatch", lambda: {**model(), **tokenizer(extra_tokens=1000)}),
    Broken("template-endless", "chat-template-endless", _templated(ENDLESS), asks=CHAT),
    Broken(
        "template-raises", "chat-template-broken", _templated("{{ raise_exception('only even turns') }}"), asks=CHAT
    ),
    Broken("template-huge", "chat-template-broken", _templated("{{ 'x' * 10**12 }}"), asks=CHAT),
    Broken("template-long", "chat-template-broken", _templated("{{ 'x ' * 3000000 }}"), asks=CHAT),
    Broken("template-one-step", "chat-template-endless", _templated("{{ 7**(10**8) > 1 }}"), asks=CHAT),
    Broken("template-range", "chat-template-broken", _templated("{% for a in range(10**9) %}{% endfor %}"), asks=CHAT),
    Broken(
        "template-nested", "chat-template-broken", _templated("{% if 1 %}" * 5000 + "{% endif %}" * 5000), asks=CHAT
    ),
    Broken("template-empty", "chat-template-broken", _templated("{# nothing #}"), asks=CHAT),
    Broken("template-surrogate", "chat-template-broken", _templated("{{ '\\ud800' }}"), asks=CHAT),
    Broken("template-missing", "chat-template-missing", _templated(None), asks=CHAT),
    Broken("never-stopping", "generation-endless", _never_stopping),
    Broken(
        "tokenizer-nested", "tokenizer-unreadable", _with("tokenizer.json", b'{"a":' * 100_000 + b"1" + b"}" * 100_000)
    ),
    Broken("generation-list", "generation-settings", _generating([1, 2])),
    Broken(
        "generation-nested",
        "generation-settings",
        _with("generation_config.json", b'{"a":' * 100_000 + b"1" + b"}" * 100_000),
    ),
    Broken("generation-words", "generation-settings", _generating({"max_new_tokens": "many", "top_k": -5})),
    Broken("generation-cache", "generation-settings", _generating({"cache_implementation": "quantized"})),
    Broken("generation-offloaded", "generation-settings", _generating({"cache_implementation": "offloaded"})),
    Broken("generation-object", "generation-settings", _generating({"return_dict_in_generate": True})),
    Broken("generation-lookup", "generation-settings", _generating({"prompt_lookup_num_tokens": 10**9})),
    Broken("generation-code", "generation-settings", _generating({"dola_layers": "high"})),
    Broken("generation-copies", "generation-settings", _generating({"num_return_sequences": 10**6})),
    Broken("generation-beams", "generation-settings", _generating({"num_beams": 10**6})),
    Broken("generation-forced", "generation-settings", _generating({"forced_eos_token_id": 10**12})),
    Broken(
        "generation-stops", "generation-settings", _generating({"stop_strings": [f"stop {n}" for n in range(100_000)]})
    ),
    Broken("generation-own", FINE, _generating({"custom_generate": "ada/evil", "trust_remote_code": True})),
    Broken("odd-generation", "generation-settings", _with("generation_config.json", _json({"num_beams": 0}))),
    # --- the repo itself
    Broken("gated", "model-gated", model, state="gated"),
    Broken("commit-gone", "revision-gone", model, asks={"revision": "f" * 40}),
    Broken("repo-gone", "model-gone", model, state="gone"),
    # --- models that must not count as broken
    Broken(
        "odd-names",
        FINE,
        lambda: {**model(), "a [1]*? é.json": b"{}", "weights/ \\x.txt": b"", "-rf.txt": b"x"},
        links={"notes.txt": "/etc/passwd"},
    ),
    Broken("whole", FINE, model),
)
