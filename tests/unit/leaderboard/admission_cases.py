"""Submissions and what is to become of them: every rule, and its edges."""

from __future__ import annotations

from dataclasses import replace

from admission_kit import (
    ADAPTER,
    BASE,
    BILLION,
    CARD,
    DELTA,
    MERGED,
    MODEL,
    TOKENIZER,
    WEIGHTS,
    Case,
    card,
    config,
    earlier,
    files,
    gone,
    tokenizer,
    weights,
)

from leaderboard.admission.facts import (
    AdapterFacts,
    Card,
    ConfigFacts,
    ModelFacts,
    Quantization,
    TokenizerFacts,
    Weights,
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


def upon(base: ModelFacts | None, **changes: object) -> ModelFacts:
    """An adapter of `base`."""
    return replace(ADAPTER, base=base, **changes)  # type: ignore[arg-type]


REQUEST = (
    Case("as it should be"),
    Case("of the first generation", asked={"private": False, "likes": 3, "license": "mit", "params": 0}),
    Case("made-up params are not believed", asked={"params": 700, "architectures": "?", "likes": 10**9}),
    Case("without an organisation", org="", model=replace(MODEL, id="tiger")),
    Case("private in its name only", ("private-differs",), private=True, asked={"private": False}),
    Case("private in its field only", ("private-differs",), asked={"private": True}),
    Case("a precision nobody has", ("precision-unknown",), precision="float7"),
    Case("a precision of another board", ("precision-unknown",), precision="INT8"),
    Case("a weight type nobody has", ("weights-unknown",), weight_type="Half"),
    Case("a stranger's pull request", ("revision-of-a-stranger",), asked={"revision": "refs/pr/7"}),
    Case("a branch", asked={"revision": "v1.1"}),
    Case("no revision", asked={"revision": None}),
    Case("a category nobody has heard of", asked={"model_type": "?"}),
    Case("hints of wrong types", asked={"model_type": 0, "submitted_time": 7, "sender": [], "job_id": {}}),
)
READABLE = (
    Case("no such model", ("model-not-found",), gone("no-model")),
    Case("no such revision", ("revision-not-found",), gone("no-revision"), asked={"revision": "v9"}),
    Case("gated, without access", ("model-gated",), gone("gated")),
    Case("gated, with access", model=replace(MODEL, is_gated=True)),
    Case(
        "gated, with access, not wanted",
        ("model-behind-a-gate",),
        replace(MODEL, is_gated=True),
        policy={"gated_models": False},
    ),
    Case("disabled", ("model-disabled",), gone("disabled")),
    Case("private", ("model-private",), gone("private")),
    Case("private, but read", ("model-private",), replace(MODEL, is_private=True)),
    Case("private, and wanted", model=replace(MODEL, is_private=True), policy={"private_models": True}),
    Case("a commit that nobody tells", ("commit-unknown",), replace(MODEL, sha=None)),
    Case("renamed", ("model-renamed",), replace(MODEL, id="ada/lion")),
    Case("in other letters", ("model-renamed",), replace(MODEL, id="Ada/Tiger")),
    Case("renamed, on a board that does not mind", (), replace(MODEL, id="ada/lion"), policy={"off": ["renamed"]}),
    Case("its authors object", ("opted-out",), around={"opted_out": True}),
    Case("its authors object, by the board", ("opted-out",), policy={"do_not_submit": ["Ada/TIGER "]}),
    Case("its organisation objects", ("opted-out",), policy={"do_not_submit": ["ada"]}),
    Case("flagged", ("flagged",), around={"flags": (earlier("contamination"),)}),
    Case("flagged under another name", ("flagged-elsewhere",), around={"flags": (earlier("a copy", "eve/lynx"),)}),
    Case("flagged twice", ("flagged", "flagged-elsewhere"), around={"flags": (earlier("x"), earlier("y", "eve/lynx"))}),
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
    Case("a Python file that nobody needs", ("python-files",), files("eval.py", "model.safetensors")),
    Case(
        "a Python file on a board that does not mind",
        (),
        files("eval.py", "m.safetensors"),
        policy={"off": ["python-files"]},
    ),
    Case("embeddings", ("not-causal",), config(is_causal=False, architecture="BertModel", layers=None)),
    Case("nobody knows whether it is causal", model=config(is_causal=None)),
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
    Case("layers that nobody can count", model=weights(layers=())),
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
    Case("nobody can count it", ("size-unknown",), weights(parameters=None)),
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
        upon(replace(BASE, weights=big(100).weights)),
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
BASES = (
    Case("an adapter", model=ADAPTER, weight_type="Adapter"),
    Case("a delta", model=DELTA, weight_type="Delta"),
    Case(
        "an adapter with more tokens",
        model=upon(BASE, tokenizer=replace(TOKENIZER, largest_id=32_007)),
        weight_type="Adapter",
    ),
    Case("an adapter with a template from its base", model=ADAPTER, weight_type="Adapter", asked=TEMPLATE),
    Case("a delta of nothing", ("base-missing",), replace(DELTA, base_name="", base=None), weight_type="Delta"),
    Case("a delta of itself", ("base-is-itself",), replace(DELTA, base_name="Ada/tiger"), weight_type="Delta"),
    Case("a base that is not there", ("base-model-not-found",), upon(gone("no-model")), weight_type="Adapter"),
    Case("a base behind a gate", ("base-model-gated",), replace(DELTA, base=gone("gated")), weight_type="Delta"),
    Case(
        "a base with everything wrong",
        (
            "base-remote-code-needed",
            "base-weights-not-safetensors",
            "base-tokenizer-missing",
            "base-licence-missing",
            "base-card-short",
        ),
        upon(
            replace(
                BASE,
                config=ConfigFacts("remote-code"),
                files=files("pytorch_model.bin").files,
                weights=None,
                tokenizer=TokenizerFacts("missing"),
                card=replace(CARD, license=None, length=10),
            )
        ),
        weight_type="Adapter",
    ),
    Case(
        "a base whose authors object",
        ("base-opted-out",),
        ADAPTER,
        weight_type="Adapter",
        policy={"do_not_submit": ["meta-llama"]},
    ),
    Case("an adapter without a config", ("adapter-config-missing",), upon(BASE, adapter=None), weight_type="Adapter"),
    Case(
        "an adapter with a torn config",
        ("adapter-unreadable",),
        upon(BASE, adapter=AdapterFacts(error="it is not JSON")),
        weight_type="Adapter",
    ),
    Case(
        "an adapter of another base",
        ("base-differs",),
        ADAPTER,
        weight_type="Adapter",
        asked={"base_model": "eve/lynx"},
    ),
    Case(
        "an adapter of a folder at home",
        model=upon(BASE, adapter=AdapterFacts("/home/ada/llama")),
        weight_type="Adapter",
        asked={"base_model": "meta-llama/Llama-2-7b"},
    ),
    Case("an adapter submitted whole", ("adapter-as-original",), replace(ADAPTER, weights=Weights())),
    Case(
        "a merge of layers with its adapter beside it",
        model=replace(MODEL, adapter=AdapterFacts("meta-llama/Llama-2-7b")),
    ),
)
CARDS = (
    Case("no card", ("card-missing",), replace(MODEL, card=Card(False))),
    Case("a card of 199 characters", ("card-short",), card(length=199)),
    Case("a card of 200 characters", model=card(length=200)),
    Case("a board that reads short cards", model=card(length=3), policy={"card_length": 3}),
    Case("no license", ("licence-missing",), card(license=None)),
    Case("another license", ("licence-unnamed",), card(license="other", license_name="tiger")),
    Case("another license, with name and place", model=card(license="other", license_name="t", license_link="LICENSE")),
    Case("pretrained upon another", ("category-has-base",), asked=PRETRAINED),
    Case("pretrained, and quantised by somebody", model=card(relation="quantized"), asked=PRETRAINED),
    Case("pretrained", model=card(base_models=(), relation=None), asked=PRETRAINED),
    Case("a pretrained adapter", ("category-adapter",), ADAPTER, weight_type="Adapter", asked=PRETRAINED),
    Case("a merge of nothing", ("category-no-merge",), asked=MERGE),
    Case("a merge", model=replace(MODEL, card=MERGED), asked=MERGE),
    Case("a merge of two", model=card(base_models=("a/b", "c/d")), asked=MERGE),
    Case("a merge that says nothing", ("merge-undeclared",), replace(MODEL, card=MERGED)),
    Case("a merge of which nobody knows the category", model=replace(MODEL, card=MERGED), asked={"model_type": "?"}),
    Case(
        "a merge without a tag",
        ("merge-untagged",),
        card(is_merge=True, merge_traces=("mergekit_config.yml",)),
        asked=MERGE,
    ),
    Case("made from nothing", model=card(base_models=())),
    Case("made from nothing, not wanted", ("base-undeclared",), card(base_models=()), policy={"off": []}),
    Case(
        "made from what the request says", model=card(base_models=()), policy={"off": []}, asked={"base_model": "a/b"}
    ),
)
REPEATS = (
    Case("submitted before, and waiting", ("duplicate-open",), around={"same": (earlier("PENDING"),)}),
    Case("submitted before, and running", ("duplicate-open",), around={"same": (earlier("RUNNING"),)}),
    Case("submitted before, and evaluated", ("duplicate-finished",), around={"same": (earlier("FINISHED"),)}),
    Case(
        "submitted before, to be evaluated anew",
        ("duplicate-finished",),
        around={"same": (earlier("PENDING_NEW_EVAL"),)},
    ),
    Case("submitted before, and failed", ("duplicate-ended",), around={"same": (earlier("FAILED"),)}),
    Case(
        "submitted before, and being evaluated elsewhere",
        ("duplicate-open",),
        around={"same": (earlier("EVALUATING"),)},
    ),
    Case("submitted before, and withdrawn", ("duplicate-ended",), around={"same": (earlier("CANCELLED"),)}),
    Case(
        "submitted three times before",
        ("duplicate-finished",),
        around={"same": (earlier("FAILED"), earlier("PENDING"), earlier("FINISHED_2023"))},
    ),
    Case("a copy", ("copy",), around={"copies": (earlier("FINISHED", "eve/lynx"),)}),
    Case(
        "a copy on a board that does not mind", around={"copies": (earlier("FAILED", "e/l"),)}, policy={"off": ["copy"]}
    ),
    Case("the fifth of a week", around={**BY, "by_submitter": 4, "by_organisation": 4}),
    Case("the sixth of a week", ("quota-submitter",), around={**BY, "by_submitter": 5}),
    Case("the sixth of a week, by nobody knows whom", around={"by_submitter": 5}),
    Case("the sixth of an organisation", ("quota-organisation",), around={**BY, "by_organisation": 5}, org="ada"),
    Case("models without an organisation", org="", model=replace(MODEL, id="tiger"), around={"by_organisation": 50}),
    Case("a higher limit", around={**BY, "by_submitter": 9, "by_organisation": 9}, policy={"quotas": {"Ada": 10}}),
    Case(
        "over a higher limit",
        ("quota-submitter", "quota-organisation"),
        around={**BY, "by_submitter": 10, "by_organisation": 11},
        policy={"quotas": {"ada": 10}, "quota_days": 0.5},
    ),
    Case("an official provider", around={"by_organisation": 500}, policy={"official_providers": ["ADA"]}),
    Case("a board without quotas", around={**BY, "by_submitter": 99}, policy={"off": ["quota-submitter"]}),
)
TOGETHER = (
    Case(
        "everything at once",
        (
            "precision-unknown",
            "weights-unknown",
            "remote-code-needed",
            "weights-not-safetensors",
            "tokenizer-missing",
            "licence-missing",
            "card-short",
            "quota-submitter",
        ),
        files(
            "pytorch_model.bin",
            config=ConfigFacts("remote-code"),
            tokenizer=TokenizerFacts("missing"),
            weights=None,
            card=replace(CARD, license=None, length=0),
        ),
        precision="float7",
        weight_type="Half",
        around={**BY, "by_submitter": 7},
    ),
    Case(
        "gone, and one too many",
        ("model-not-found", "quota-submitter"),
        gone("no-model"),
        around={**BY, "by_submitter": 7},
    ),
    Case("found, and nothing else known", model=ModelFacts("found", "a" * 40, files=files("model.safetensors").files)),
)
CASES = (
    *REQUEST, *READABLE, *CONFIGS, *WEIGHT, *SIZES, *PRECISIONS, *TOKENIZERS, *BASES, *CARDS, *REPEATS, *TOGETHER
)  # fmt: skip
