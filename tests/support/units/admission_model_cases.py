"""Submissions with their expected verdicts, for the rules about a model, its files and its size."""

from __future__ import annotations

from dataclasses import replace

from leaderboard.admission.facts import (
    ConfigFacts,
    ModelFacts,
    Quantization,
    TokenizerFacts,
    Weights,
)
from tests.support.units.admission_facts import (
    ADAPTER,
    BASE,
    BILLION,
    MODEL,
    WEIGHTS,
    Case,
    config,
    earlier,
    files,
    tokenizer,
    unreadable,
    weights,
)

GPTQ4, GPTQ5, BNB4 = Quantization("gptq", 4), Quantization("gptq", 5), Quantization("bitsandbytes", 4)
PACKED = replace(WEIGHTS, dtypes={"I32": BILLION, "F16": BILLION // 2}, parameters=BILLION + BILLION // 2)
PRETRAINED = {"model_type": "🟢 : 🟢 pretrained"}
MERGE = {"model_type": "🤝 : 🤝 base merges and moerges"}
TEMPLATE = {"use_chat_template": True}
BY = {"submitter": "ada"}


def big(billions: float) -> ModelFacts:
    """A model with so many billions of parameters."""
    return weights(parameters=round(billions * BILLION), dtypes={"BF16": round(billions * BILLION)})


def adapter_of(base: ModelFacts | None, **changes: object) -> ModelFacts:
    """Facts about an adapter of `base`."""
    return replace(ADAPTER, base=base, **changes)  # type: ignore[arg-type]


READABLE = (
    Case("no such model", ("model-not-found",), unreadable("no-model")),
    Case("no such revision", ("revision-not-found",), unreadable("no-revision"), asked={"revision": "v9"}),
    Case("gated, without access", ("model-gated",), unreadable("gated")),
    Case("gated, with access", model=replace(MODEL, is_gated=True)),
    Case(
        "gated, with access, not wanted",
        ("model-behind-a-gate",),
        replace(MODEL, is_gated=True),
        policy={"gated_models": False},
    ),
    Case("disabled", ("model-disabled",), unreadable("disabled")),
    Case("metadata without end", ("model-unreadable",), unreadable("unreadable")),
    Case("private", ("model-private",), unreadable("private")),
    Case("private, but read", ("model-private",), replace(MODEL, is_private=True)),
    Case("private, and wanted", model=replace(MODEL, is_private=True), policy={"private_models": True}),
    Case("an unknown commit", ("commit-unknown",), replace(MODEL, sha=None)),
    Case("renamed", ("model-renamed",), replace(MODEL, id="ada/lion")),
    Case("in other letters", ("model-renamed",), replace(MODEL, id="Ada/Tiger")),
    Case("renamed, on a board that does not mind", (), replace(MODEL, id="ada/lion"), policy={"off": ["renamed"]}),
    Case("its authors object", ("opted-out",), board_facts={"opted_out": True}),
    Case("its authors object, by the board", ("opted-out",), policy={"do_not_submit": ["Ada/TIGER "]}),
    Case("its organisation objects", ("opted-out",), policy={"do_not_submit": ["ada"]}),
    Case("flagged", ("flagged",), board_facts={"flags": (earlier("contamination"),)}),
    Case("flagged under another name", ("flagged-elsewhere",), board_facts={"flags": (earlier("a copy", "eve/lynx"),)}),
    Case(
        "flagged twice",
        ("flagged", "flagged-elsewhere"),
        board_facts={"flags": (earlier("x"), earlier("y", "eve/lynx"))},
    ),
)
CONFIGS = (
    Case("no config", ("config-missing",), replace(MODEL, config=ConfigFacts("missing"))),
    Case("a torn config", ("config-unreadable",), config(state="unreadable", error="it is not JSON (line 3)")),
    Case(
        "an architecture of tomorrow",
        ("unknown-architecture",),
        replace(MODEL, config=ConfigFacts("unknown-architecture", model_type="zorblax", transformers="5.24.0")),
    ),
    Case("a config without a type", ("unknown-architecture",), config(state="unknown-architecture", model_type="")),
    Case("a million layers", ("config-absurd",), config(state="too-costly")),
    Case("code of its own", ("remote-code-needed",), replace(MODEL, config=ConfigFacts("remote-code"))),
    Case("a tokenizer with code of its own", ("remote-code-needed",), tokenizer(state="remote-code")),
    Case(
        "config and tokenizer with code, told once",
        ("remote-code-needed", "python-files"),
        files(
            "modeling_turbo.py",
            "model.safetensors",
            config=ConfigFacts("remote-code"),
            tokenizer=TokenizerFacts("remote-code"),
        ),
    ),
    Case("a Python file that is not needed", ("python-files",), files("eval.py", "model.safetensors")),
    Case(
        "a Python file on a board that does not mind",
        (),
        files("eval.py", "m.safetensors"),
        policy={"off": ["python-files"]},
    ),
    Case("embeddings", ("not-causal",), config(is_causal=False, architecture="BertModel", layers=None)),
    Case("unknown whether it is causal", model=config(is_causal=None)),
)
WEIGHT = (
    Case("no weights", ("weights-missing",), files("config.json", weights=None)),
    Case("pickles", ("weights-not-safetensors",), files("config.json", "pytorch_model.bin", weights=None)),
    Case("pickles beside safetensors", model=files("pytorch_model.bin", "model.safetensors")),
    Case("GGUF", ("weights-gguf",), files("tiger.Q4_K_M.gguf", weights=None)),
    Case("safetensors of another name", ("weights-not-loadable",), files("tiger.safetensors", weights=Weights())),
    Case("a torn index", ("index-unreadable",), weights(names=(), index_error="it is not JSON")),
    Case("a shard is missing", ("weights-incomplete",), weights(missing=("model-00002-of-00002.safetensors",))),
    Case(
        "many shards are missing",
        ("weights-incomplete",),
        weights(missing=tuple(f"m-{n}.safetensors" for n in range(30))),
    ),
    Case(
        "a torn shard", ("weights-broken",), weights(broken={"model.safetensors": "the file is shorter than it says"})
    ),
    Case(
        "one shard missing, one torn",
        ("weights-incomplete", "weights-broken"),
        weights(missing=("b.safetensors",), broken={"a.safetensors": "no header"}),
    ),
    Case("half of its layers", ("layers-missing",), weights(layers=(16,))),
    Case("more layers than its config says", model=weights(layers=(33,))),
    Case("layers that cannot be counted", model=weights(layers=())),
)
SIZES = (
    Case("just fits", model=big(100)),
    Case("one parameter too many", ("too-big",), big(100 + 1e-9)),
    Case("too big for float32", ("too-big",), big(70), precision="float32"),
    Case("too big in half precision, not in 4bit", model=big(180), precision="4bit"),
    Case("too big for 4bit", ("too-big",), big(600), precision="4bit"),
    Case("too big for 8bit", ("too-big",), big(281), precision="8bit"),
    Case("a board with larger machines", model=big(300), policy={"max_billions": {"bfloat16": 500}}),
    Case("a board without limits", model=big(9_000), policy={"max_billions": {}}),
    Case("parameters that cannot be counted", ("size-unknown",), weights(parameters=None)),
    Case("there is nothing to count", ("size-unknown",), weights(parameters=0, dtypes={})),
    Case("packed values are unpacked", model=replace(config(quantization=GPTQ4), weights=PACKED), precision="GPTQ"),
    Case(
        "too big when unpacked",
        ("too-big",),
        replace(
            config(quantization=GPTQ4), weights=replace(PACKED, dtypes={"I32": 80 * BILLION}, parameters=80 * BILLION)
        ),
        precision="GPTQ",
    ),
    Case(
        "an adapter of what is too big",
        ("too-big",),
        adapter_of(replace(BASE, weights=big(100).weights)),
        weight_type="Adapter",
    ),
)
PRECISIONS = (
    Case("GPTQ of what is not quantised", ("precision-not-gptq",), precision="GPTQ"),
    Case("GPTQ of what is quantised otherwise", ("precision-not-gptq",), config(quantization=BNB4), precision="GPTQ"),
    Case("GPTQ with odd bits", ("gptq-bits",), config(quantization=GPTQ5), precision="GPTQ"),
    Case("GPTQ with unknown bits", ("gptq-bits",), config(quantization=Quantization("gptq")), precision="GPTQ"),
    Case("GPTQ as float16", ("precision-quantized",), config(quantization=GPTQ4), precision="float16"),
    Case("4 bits as 4bit", model=config(quantization=BNB4), precision="4bit"),
    Case("4 bits as 8bit", ("bits-differ",), config(quantization=BNB4), precision="8bit"),
    Case("4 bits as bfloat16", ("precision-quantized",), config(quantization=BNB4)),
    Case("AWQ", ("quantization-unknown",), config(quantization=Quantization("awq", 4)), precision="4bit"),
    Case(
        "AWQ on a board that takes it",
        model=config(quantization=Quantization("awq", 4)),
        precision="4bit",
        policy={"quantizations": {"awq": ["4bit"]}},
    ),
    Case(
        "4 bits on a board without 4bit",
        ("quantization-unknown",),
        config(quantization=BNB4),
        precisions=("bfloat16",),
    ),
    Case(
        "GPTQ on a board without limits",
        model=config(quantization=GPTQ5),
        precision="GPTQ",
        policy={"max_billions": {}},
    ),
    Case("float32 only, as 4bit", ("float32-only",), weights(dtypes={"F32": 7 * BILLION}), precision="4bit"),
    Case("float32 only, as float32", model=weights(dtypes={"F32": 7 * BILLION}), precision="float32"),
    Case("partly float32, as 4bit", model=weights(dtypes={"F32": 9, "BF16": 7 * BILLION}), precision="4bit"),
    Case("bfloat16 as float16", model=MODEL, precision="float16"),
    Case("bfloat16 as float16, not wanted", ("bfloat16-as-float16",), precision="float16", policy={"off": []}),
)
TOKENIZERS = (
    Case("no tokenizer", ("tokenizer-missing",), tokenizer(state="missing")),
    Case("a torn tokenizer", ("tokenizer-unreadable",), tokenizer(state="unreadable", error="KeyError: 'model'.")),
    Case("a tokenizer that takes for ever", ("tokenizer-absurd",), tokenizer(state="too-costly")),
    Case("a tokenizer of 200 MB", ("tokenizer-too-large",), tokenizer(state="too-large")),
    Case("a template was asked for, and works", asked=TEMPLATE),
    Case(
        "a template was asked for, and is not there",
        ("template-missing",),
        tokenizer(template="absent"),
        asked=TEMPLATE,
    ),
    Case("no template, none asked for", model=tokenizer(template="absent")),
    Case(
        "a template that fails",
        ("template-broken",),
        tokenizer(template="raises", error="'messages' is undefined"),
        asked=TEMPLATE,
    ),
    Case("a template that takes for ever", ("template-absurd",), tokenizer(template="too-costly"), asked=TEMPLATE),
    Case("one token too many", ("vocabulary-differs",), tokenizer(largest_id=32_000)),
    Case("a vocabulary with room to spare", model=tokenizer(largest_id=100)),
    Case("a special token outside", ("special-token-outside",), config(special_tokens={"pad": (32_000,)})),
    Case("a special token that is not set", model=config(special_tokens={"pad": (-1,)})),
    Case("another end of text", ("special-token-differs",), config(special_tokens={"eos": (7, 8)})),
    Case("special tokens of which one is unknown", model=config(special_tokens={"pad": (0,)})),
)
