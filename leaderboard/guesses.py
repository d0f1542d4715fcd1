"""Guesses the options of a submission from the card, the config and the files of a model, for a person to correct."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from leaderboard.admission.facts import ModelFacts
from leaderboard.categories import ModelCategory
from leaderboard.options import DEFAULT_PRECISION
from leaderboard.policy import AdmissionPolicy
from leaderboard.reasons import choice
from leaderboard.request_paths import is_model

GuessedField = Literal["precision", "weight_type", "base_model", "model_type", "chat_template"]
PRECISION_OF_DTYPE = {"BF16": "bfloat16", "F16": "float16", "F32": "float32"}
"""Dtype of safetensors → the precision of an evaluation in it."""
DEFAULT = "the default, since its files do not say"
QUANTIZED = "quantized"
"""The `base_model_relation` of a quantised model, which has the category of the model from which it was made."""


class Guess(BaseModel):
    """The likely value of one field of a submission, and the source of the guess."""

    model_config = ConfigDict(frozen=True)

    field: GuessedField
    value: str
    source: str = Field(description="what says so, worded to follow “according to”")


def guess_options(facts: ModelFacts, policy: AdmissionPolicy, precisions: Sequence[str]) -> tuple[Guess, ...]:
    """Guess the options of a submission from the `facts` about its model, on a board that evaluates in `precisions`."""
    guesses = (_precision(facts, policy, precisions), _weight_type(facts), _base_model(facts), *_category(facts))
    return tuple(guess for guess in guesses if guess is not None)


def _precision(facts: ModelFacts, policy: AdmissionPolicy, precisions: Sequence[str]) -> Guess | None:
    if facts.adapter is not None and facts.base is not None:
        facts = facts.base  # an adapter is computed in the precision of its base model
    config = facts.config
    if config is not None and config.quantization is not None:
        fitting = [name for name in policy.quantizations.get(config.quantization.method, ()) if name in precisions]
        exact = [name for name in fitting if name == f"{config.quantization.bits}bit"]
        value = next(iter((*exact, *fitting)), "")
        return Guess(field="precision", value=value, source="the quantisation in its config.json") if value else None
    dtypes = facts.weights.dtypes if facts.weights is not None else {}
    most = max(dtypes, key=lambda dtype: dtypes[dtype], default="")
    stored, named = PRECISION_OF_DTYPE.get(most, ""), config.dtype if config is not None else ""
    if stored in precisions:
        return Guess(field="precision", value=stored, source=f"its weights, most of which are stored as {most}")
    if named in precisions:
        return Guess(field="precision", value=named, source="its config.json")
    default = DEFAULT_PRECISION if DEFAULT_PRECISION in precisions else next(iter(precisions), "")
    return Guess(field="precision", value=default, source=DEFAULT) if default else None


def _weight_type(facts: ModelFacts) -> Guess:
    if facts.adapter is not None and (facts.config is None or facts.config.state == "missing"):
        source = "its adapter_config.json, beside which there is no config.json"
        return Guess(field="weight_type", value="Adapter", source=source)
    return Guess(field="weight_type", value="Original", source="its files, which are those of a whole model")


def _base_model(facts: ModelFacts) -> Guess | None:
    # A model that was trained from a local folder has that folder's path in its config.
    if facts.adapter is not None and is_model(facts.adapter.base_model):
        return Guess(field="base_model", value=facts.adapter.base_model, source="its adapter_config.json")
    bases = facts.card.base_models if facts.card is not None else ()
    is_one = len(bases) == 1 and is_model(bases[0])
    return Guess(field="base_model", value=bases[0], source="base_model in its model card") if is_one else None


def _category(facts: ModelFacts) -> Iterator[Guess]:
    """Guess the category, and whether to use the chat template."""
    card = facts.card
    has_template = facts.tokenizer is not None and facts.tokenizer.template == "works"
    template = (
        "its tokenizer, which has a chat template" if has_template else "its tokenizer, which has none that works"
    )
    if card is not None and card.is_merge:
        yield _category_guess(ModelCategory.MERGE, choice(card.merge_traces) or "its model card")
    elif has_template:
        yield _category_guess(ModelCategory.CHAT, template)
    elif facts.adapter is not None:
        yield _category_guess(ModelCategory.FINE_TUNED, "its adapter_config.json")
    elif card is not None and card.base_models and card.relation != QUANTIZED:
        yield _category_guess(ModelCategory.FINE_TUNED, "its model card, which names a base model")
    elif card is not None and card.exists and not card.base_models:
        yield _category_guess(ModelCategory.PRETRAINED, "its model card, which names no base model")
    is_known = facts.tokenizer is not None and facts.tokenizer.state == "loaded"
    yield Guess(field="chat_template", value="yes" if has_template else "no", source=template if is_known else DEFAULT)


def _category_guess(category: ModelCategory, source: str) -> Guess:
    return Guess(field="model_type", value=category.value, source=source)
