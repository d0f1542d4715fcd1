"""Guesses about a submission, from the facts about its model."""

from __future__ import annotations

from dataclasses import replace

import pytest

from leaderboard.admission.facts import ModelCard, ModelFacts, Quantization, TokenizerFacts, Weights
from leaderboard.guesses import guess_options
from leaderboard.options import PRECISION_NAMES
from leaderboard.policy import AdmissionPolicy
from tests.support.units.admission_facts import ADAPTER, BASE, CARD, CONFIG, LORA, MODEL, TOKENIZER

BARE = ModelCard(True, 900, "mit")
PLAIN = TokenizerFacts("loaded", 32_000, 31_999, {}, "absent")


def guessed(facts: ModelFacts) -> dict[str, str]:
    """Return the guess for each field."""
    return {guess.field: guess.value for guess in guess_options(facts, AdmissionPolicy(), PRECISION_NAMES)}


@pytest.mark.parametrize(
    ("facts", "expected"),
    [
        (MODEL, {"precision": "bfloat16", "weight_type": "Original", "base_model": "meta-llama/Llama-2-7b"}),
        (MODEL, {"model_type": "chat", "chat_template": "yes"}),
        (replace(MODEL, tokenizer=PLAIN), {"model_type": "fine-tuned", "chat_template": "no"}),
        (replace(MODEL, tokenizer=PLAIN, card=BARE), {"model_type": "pretrained"}),
        (replace(MODEL, card=replace(CARD, is_merge=True, merge_traces=("the tag merge",))), {"model_type": "merge"}),
        (replace(MODEL, weights=Weights(dtypes={"F16": 9, "F32": 1})), {"precision": "float16"}),
        (replace(MODEL, weights=Weights(dtypes={"I64": 9})), {"precision": CONFIG.dtype}),
        (replace(MODEL, config=replace(CONFIG, quantization=Quantization("gptq", 4))), {"precision": "GPTQ"}),
        (replace(MODEL, config=replace(CONFIG, quantization=Quantization("bitsandbytes", 4))), {"precision": "4bit"}),
        (replace(MODEL, config=None, weights=None, tokenizer=None), {"precision": "bfloat16", "chat_template": "no"}),
        (
            replace(ADAPTER, weights=LORA, base=replace(BASE, weights=Weights(dtypes={"F16": 1}))),
            {"weight_type": "Adapter", "base_model": "meta-llama/Llama-2-7b", "precision": "float16"},
        ),
    ],
)
def test_options_follow_from_the_facts(facts: ModelFacts, expected: dict[str, str]) -> None:
    """Weights, quantisation, card, tokenizer and adapter each decide their own field; else the default counts."""
    options = guessed(facts)
    assert {name: options[name] for name in expected} == expected


def test_what_nothing_says_is_not_guessed() -> None:
    """An unknown quantisation, several base models, a local path and a missing card give no guess."""
    unknown = replace(MODEL, config=replace(CONFIG, quantization=Quantization("exotic")))
    assert "precision" not in guessed(unknown)
    several = replace(MODEL, card=replace(CARD, base_models=("a/b", "c/d")))
    assert "base_model" not in guessed(several)
    assert "model_type" not in guessed(replace(MODEL, tokenizer=PLAIN, card=ModelCard(False)))
    path = replace(MODEL, card=replace(CARD, base_models=("/home/me/model of mine",)))
    assert "base_model" not in guessed(path)


def test_a_guess_says_from_where_it_is() -> None:
    """Each guess names the file or the place that says so."""
    sources = {guess.field: guess.source for guess in guess_options(MODEL, AdmissionPolicy(), PRECISION_NAMES)}
    assert sources["precision"] == "its weights, most of which are stored as BF16"
    assert sources["base_model"] == "base_model in its model card"
    assert TOKENIZER.template == "works"
    assert "chat template" in sources["model_type"]
