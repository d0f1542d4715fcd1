"""The models of the month: acceptable ones, and one for each reason for which admission refuses models."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from workers.models import tiny_model

Files = Mapping[str, bytes]
WEIGHTS, CONFIG, WORDS, CARD = "model.safetensors", "config.json", "tokenizer_config.json", "README.md"
TEXT = "This model was made for a month in the life of a leaderboard, and does nothing else. " * 4
CHAT = {"use_chat_template": True}
ENDLESS = 3 * "{% for a in range(9999) %}" + 3 * "{% endfor %}"


@dataclass(frozen=True)
class Kind:
    """One kind of submission: the model's files, the request's fields, and the code of the refusal (empty: accepted).

    `asks` holds further fields of the request.
    """

    name: str
    code: str = ""
    files: Callable[[], Files] | None = None
    precision: str = "float32"
    weight_type: str = "Original"
    asks: Mapping[str, Any] = field(default_factory=dict)
    gated: bool = False
    private: bool = False


def card(text: str = TEXT, **metadata: Any) -> bytes:
    """Return a model card."""
    lines = {"license": "apache-2.0", **metadata}
    head = "".join(f"{name}: {json.dumps(value)}\n" for name, value in lines.items() if value is not None)
    return f"---\n{head}---\n{text}".encode()


@cache
def good() -> Files:
    """Return a model that passes every rule."""
    return {**tiny_model.model(), CARD: card()}


def _with(**files: bytes) -> Callable[[], Files]:
    """Return a function that makes the good model with these files; `__` in a name stands for a dot."""
    return lambda: {**good(), **{name.replace("__", "."): content for name, content in files.items()}}


def _without(*names: str) -> Callable[[], Files]:
    return lambda: {name: content for name, content in good().items() if name not in names}


def _config(**fields: Any) -> Callable[[], Files]:
    return lambda: {**good(), **_changed(CONFIG, fields)}


def _template(text: str | None) -> Callable[[], Files]:
    return lambda: {**good(), **_changed(WORDS, {"chat_template": text})}


def _changed(name: str, fields: Mapping[str, Any]) -> Files:
    settings = {**json.loads(good()[name]), **fields}
    return {name: json.dumps({key: value for key, value in settings.items() if value is not None}).encode()}


def _adapter(base: str) -> Files:
    settings = {"base_model_name_or_path": base, "peft_type": "LORA", "r": 2, "target_modules": ["q_proj"]}
    name = "base_model.model.model.layers.0.self_attn.q_proj.lora_{}.weight"
    shapes = {name.format("A"): (2, 16), name.format("B"): (16, 2)}
    weights = tiny_model.safetensors({name: ("F32", shape, bytes(128)) for name, shape in shapes.items()})
    config = json.dumps(settings).encode()
    return {"adapter_config.json": config, "adapter_model.safetensors": weights, CARD: card(base_model=base)}


GOOD = (
    Kind("ok", files=good),
    Kind("ok-bfloat16", files=good, precision="bfloat16"),
    Kind("ok-chat", files=good, asks=CHAT),
)
BAD = (
    Kind("coded", "remote-code-needed", _config(auto_map={"AutoConfig": "x.Y"})),
    Kind("snake", "python-files", _with(modeling_snake__py=b"print('hello')")),
    Kind("pickles", "weights-not-safetensors", lambda: {**_without(WEIGHTS)(), "pytorch_model.bin": b"x"}),
    Kind("cut-off", "weights-broken", lambda: {**good(), WEIGHTS: good()[WEIGHTS][:-99]}),
    Kind("no-layer", "layers-missing", _config(num_hidden_layers=3)),
    Kind("many-words", "vocabulary-differs", lambda: {**good(), **tiny_model.tokenizer(9)}),
    Kind("other-end", "special-token-differs", _config(eos_token_id=7)),
    Kind("wordless", "tokenizer-missing", _without("tokenizer.json", WORDS)),
    Kind("garbled", "tokenizer-unreadable", _with(tokenizer__json=b"[" * 5_000)),
    Kind("speechless", "template-missing", _template(None), asks=CHAT),
    Kind("raising", "template-broken", _template("{{ raise_exception('no') }}"), asks=CHAT),
    Kind("endless", "template-absurd", _template(ENDLESS), asks=CHAT),
    Kind("peculiar", "unknown-architecture", _config(model_type="zork", architectures=["ZorkForCausalLM"])),
    Kind("classifier", "not-causal", _config(architectures=["LlamaForTokenClassification"])),
    Kind("cardless", "card-missing", _without(CARD)),
    Kind("terse", "card-short", _with(README__md=card("Hello."))),
    Kind("free", "licence-missing", _with(README__md=card(license=None))),
    Kind("blend", "merge-undeclared", _with(README__md=card(tags=["merge"]))),
    Kind("no-merge", "category-no-merge", good, asks={"model_type": "merge"}),
    Kind("wide", "float32-only", good, precision="4bit"),
    Kind("bare", "adapter-as-original", lambda: _adapter("missing/model")),
    Kind("orphan", "base-model-not-found", lambda: _adapter("missing/model"), weight_type="Adapter"),
    Kind("odd", "precision-unknown", good, precision="int7"),
    Kind("half", "weights-unknown", good, weight_type="Half"),
    Kind("stranger", "revision-of-a-stranger", good, asks={"revision": "refs/pr/1"}),
    Kind("lost-branch", "revision-not-found", good, asks={"revision": "nowhere"}),
    Kind("nowhere", "model-not-found"),
    Kind("gated", "model-gated", good, gated=True),
    Kind("hidden", "model-not-found", good, private=True),
    Kind("pretender", "private-differs", good, asks={"private": True}),
    Kind("copy", "copy", good),
    Kind("twice", "duplicate", good),
)
"""The kinds that admission refuses. Quotas and flags refuse other submissions as well."""
KINDS = {kind.name: kind for kind in (*GOOD, *BAD)}


def files_of(kind: Kind, number: int) -> dict[str, bytes]:
    """Return the files of model `number`. All models have different weights, except copies, which have the same."""
    stamp = (0 if kind.name == "copy" else number + 1).to_bytes(4, "little")
    files = dict(kind.files()) if kind.files else {}
    for name, content in files.items():
        if name.endswith(".safetensors") and len(content) > 200:
            files[name] = content[:-4] + stamp
    return files
