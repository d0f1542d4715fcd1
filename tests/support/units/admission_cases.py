"""Submissions with their expected verdicts, for every rule except those about a model, its files and its size."""

from __future__ import annotations

from dataclasses import replace

from leaderboard.admission.facts import AdapterFacts, ConfigFacts, ModelCard, ModelFacts, TokenizerFacts, Weights
from tests.support.units.admission_facts import (
    ADAPTER,
    BASE,
    CARD,
    DELTA,
    MERGED,
    MODEL,
    TOKENIZER,
    Case,
    card,
    earlier,
    files,
    unreadable,
)
from tests.support.units.admission_model_cases import (
    BY,
    CONFIGS,
    MERGE,
    PRECISIONS,
    PRETRAINED,
    READABLE,
    SIZES,
    TEMPLATE,
    TOKENIZERS,
    WEIGHT,
    adapter_of,
)

REQUEST = (
    Case("as it should be"),
    Case("of the first generation", asked={"private": False, "likes": 3, "license": "mit", "params": 0}),
    Case("made-up params are not believed", asked={"params": 700, "architectures": "?", "likes": 10**9}),
    Case("without an organisation", org="", model=replace(MODEL, id="tiger")),
    Case("private in its name only", ("private-differs",), private=True, asked={"private": False}),
    Case("private in its field only", ("private-differs",), asked={"private": True}),
    Case("an unknown precision", ("precision-unknown",), precision="float7"),
    Case("a precision of another board", ("precision-unknown",), precision="AWQ"),
    Case("an unknown weight type", ("weights-unknown",), weight_type="Half"),
    Case("a stranger's pull request", ("revision-of-a-stranger",), asked={"revision": "refs/pr/7"}),
    Case("a branch", asked={"revision": "v1.1"}),
    Case("no revision", asked={"revision": None}),
    Case("an unknown category", asked={"model_type": "?"}),
    Case("hints of wrong types", asked={"model_type": 0, "submitted_time": 7, "sender": [], "job_id": {}}),
)
BASES = (
    Case("an adapter", model=ADAPTER, weight_type="Adapter"),
    Case("a delta", model=DELTA, weight_type="Delta"),
    Case(
        "an adapter with more tokens",
        model=adapter_of(BASE, tokenizer=replace(TOKENIZER, largest_id=32_007)),
        weight_type="Adapter",
    ),
    Case("an adapter with a template from its base", model=ADAPTER, weight_type="Adapter", asked=TEMPLATE),
    Case("a delta of nothing", ("base-missing",), replace(DELTA, base_name="", base=None), weight_type="Delta"),
    Case("a delta of itself", ("base-is-itself",), replace(DELTA, base_name="Ada/tiger"), weight_type="Delta"),
    Case(
        "a base that is not there",
        ("base-model-not-found",),
        adapter_of(unreadable("no-model")),
        weight_type="Adapter",
    ),
    Case(
        "a base that is an adapter",
        ("base-is-adapter",),
        adapter_of(replace(BASE, config=ConfigFacts("missing"), adapter=AdapterFacts("ada/tiger"))),
        weight_type="Adapter",
    ),
    Case(
        "a base behind a gate",
        ("base-model-gated",),
        replace(DELTA, base=unreadable("gated")),
        weight_type="Delta",
    ),
    Case(
        "a base with everything wrong",
        (
            "base-remote-code-needed",
            "base-weights-not-safetensors",
            "base-tokenizer-missing",
            "base-licence-missing",
            "base-card-short",
        ),
        adapter_of(
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
    Case(
        "a base whose authors object, by a flag",
        ("base-opted-out",),
        ADAPTER,
        weight_type="Adapter",
        board_facts={"base_opted_out": True},
    ),
    Case(
        "an adapter without a config",
        ("adapter-config-missing",),
        adapter_of(BASE, adapter=None),
        weight_type="Adapter",
    ),
    Case(
        "an adapter with a torn config",
        ("adapter-unreadable",),
        adapter_of(BASE, adapter=AdapterFacts(error="it is not JSON")),
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
        model=adapter_of(BASE, adapter=AdapterFacts("/home/ada/llama")),
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
    Case("no card", ("card-missing",), replace(MODEL, card=ModelCard(False))),
    Case("a card of 199 characters", ("card-short",), card(length=199)),
    Case("a card of 200 characters", model=card(length=200)),
    Case("a board that reads short cards", model=card(length=3), policy={"card_length": 3}),
    Case("no license", ("licence-missing",), card(license=None)),
    Case("another license", ("licence-unnamed",), card(license="other", license_name="tiger")),
    Case("another license, with name and place", model=card(license="other", license_name="t", license_link="LICENSE")),
    Case("pretrained upon another", ("category-has-base",), asked=PRETRAINED),
    Case("pretrained, and quantised", model=card(relation="quantized"), asked=PRETRAINED),
    Case("pretrained", model=card(base_models=(), relation=None), asked=PRETRAINED),
    Case("a pretrained adapter", ("category-adapter",), ADAPTER, weight_type="Adapter", asked=PRETRAINED),
    Case("a merge of nothing", ("category-no-merge",), asked=MERGE),
    Case("a merge", model=replace(MODEL, card=MERGED), asked=MERGE),
    Case("a merge of two", model=card(base_models=("a/b", "c/d")), asked=MERGE),
    Case("a merge that says nothing", ("merge-undeclared",), replace(MODEL, card=MERGED)),
    Case("a merge of an unknown category", model=replace(MODEL, card=MERGED), asked={"model_type": "?"}),
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
    Case("submitted before, and waiting", ("duplicate-open",), board_facts={"same": (earlier("PENDING"),)}),
    Case("submitted before, and running", ("duplicate-open",), board_facts={"same": (earlier("RUNNING"),)}),
    Case("submitted before, and evaluated", ("duplicate-finished",), board_facts={"same": (earlier("FINISHED"),)}),
    Case(
        "submitted before, to be evaluated anew",
        ("duplicate-finished",),
        board_facts={"same": (earlier("PENDING_NEW_EVAL"),)},
    ),
    Case("submitted before, and failed", ("duplicate-ended",), board_facts={"same": (earlier("FAILED"),)}),
    Case(
        "submitted before, and being evaluated elsewhere",
        ("duplicate-open",),
        board_facts={"same": (earlier("EVALUATING"),)},
    ),
    Case("submitted before, and withdrawn", ("duplicate-ended",), board_facts={"same": (earlier("CANCELLED"),)}),
    Case(
        "submitted three times before",
        ("duplicate-finished",),
        board_facts={"same": (earlier("FAILED"), earlier("PENDING"), earlier("FINISHED_2023"))},
    ),
    Case("a copy", ("copy",), board_facts={"copies": (earlier("FINISHED", "eve/lynx"),)}),
    Case(
        "a copy on a board that does not mind",
        board_facts={"copies": (earlier("FAILED", "e/l"),)},
        policy={"off": ["copy"]},
    ),
    Case("details in another model's dataset", ("details-taken",), board_facts={"shares_details": True}),
    Case("the fifth of a week", board_facts={**BY, "by_submitter": 4, "by_organisation": 4}),
    Case("the sixth of a week", ("quota-submitter",), board_facts={**BY, "by_submitter": 5}),
    Case("the sixth of a week, by an unknown submitter", board_facts={"by_submitter": 5}),
    Case("the sixth of an organisation", ("quota-organisation",), board_facts={**BY, "by_organisation": 5}, org="ada"),
    Case(
        "models without an organisation", org="", model=replace(MODEL, id="tiger"), board_facts={"by_organisation": 50}
    ),
    Case("a higher limit", board_facts={**BY, "by_submitter": 9, "by_organisation": 9}, policy={"quotas": {"Ada": 10}}),
    Case(
        "over a higher limit",
        ("quota-submitter", "quota-organisation"),
        board_facts={**BY, "by_submitter": 10, "by_organisation": 11},
        policy={"quotas": {"ada": 10}, "quota_days": 0.5},
    ),
    Case("an official provider", board_facts={"by_organisation": 500}, policy={"official_providers": ["ADA"]}),
    Case("a board without quotas", board_facts={**BY, "by_submitter": 99}, policy={"off": ["quota-submitter"]}),
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
        board_facts={**BY, "by_submitter": 7},
    ),
    Case(
        "gone, and one too many",
        ("model-not-found", "quota-submitter"),
        unreadable("no-model"),
        board_facts={**BY, "by_submitter": 7},
    ),
    Case("found, and nothing else known", model=ModelFacts("found", "a" * 40, files=files("model.safetensors").files)),
)
CASES = (
    *REQUEST, *READABLE, *CONFIGS, *WEIGHT, *SIZES, *PRECISIONS, *TOKENIZERS, *BASES, *CARDS, *REPEATS, *TOGETHER
)  # fmt: skip
