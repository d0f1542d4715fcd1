"""The admission policy of a board: the rules that hold, and their limits.

The defaults are those of the Open LLM Leaderboard, from its FAQ and its forms.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from leaderboard.options import precision_named

Fixed = Literal[
    "request-file",
    "precision",
    "weight-type",
    "model-readable",
    "private",
    "gated",
    "config-loads",
    "remote-code",
    "safetensors",
    "shards",
]
"""Rules that an evaluation, or a safe one, depends on: they cannot be turned off."""
Switchable = Literal[
    "revision",
    "renamed",
    "python-files",
    "causal",
    "headers",
    "layers",
    "size",
    "honest-precision",
    "half-precision",
    "tokenizer-loads",
    "chat-template",
    "vocabulary",
    "special-tokens",
    "base-model",
    "adapter",
    "base-declared",
    "licence",
    "model-card",
    "category",
    "merge",
    "opt-out",
    "flagged",
    "duplicate",
    "copy",
    "details-name",
    "quota-submitter",
    "quota-organisation",
]
RuleName = Fixed | Switchable
Count = Annotated[int, Field(ge=0)]
Billions = Annotated[float, Field(gt=0)]
Precision = Annotated[str, AfterValidator(precision_named)]
"""The name of a precision; a board file may use an alias, or another case."""


def _limit_named(word: str) -> str:
    """Return the name of a limit: a precision, or GPTQ with bits, as in `GPTQ-4bit`."""
    precision, dash, bits = word.rpartition("-")
    named = precision_named(word)
    return named if named != word or not dash else f"{precision_named(precision)}-{bits.lower()}"


Limit = Annotated[str, AfterValidator(_limit_named)]


class AdmissionPolicy(BaseModel):
    """The section `admission` of a board file. Names of accounts and models are compared without case."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    off: tuple[Switchable, ...] = Field(
        default=("half-precision", "base-declared"), description="rules that do not apply"
    )
    max_billions: Mapping[Limit, Billions] = Field(
        default={
            "float16": 100,
            "bfloat16": 100,
            "float32": 50,
            "8bit": 280,
            "4bit": 560,
            "GPTQ-2bit": 1120,
            "GPTQ-3bit": 840,
            "GPTQ-4bit": 560,
            "GPTQ-8bit": 280,
        },
        description="largest model by precision, in billions of parameters; no limit for a precision without a number",
    )
    quantizations: Mapping[str, tuple[Precision, ...]] = Field(
        default={"gptq": ("GPTQ",), "bitsandbytes": ("8bit", "4bit")},
        description="quantisation method of the weights → the precisions in which such a model may be submitted",
    )
    card_length: Count = Field(default=200, description="minimal characters in the text of a model card")
    private_models: bool = Field(default=False, description="accept private models that the bot's token may read")
    gated_models: bool = Field(default=True, description="accept gated models that the bot's token may read")
    base_declared_for: tuple[str, ...] = Field(
        default=("continuously pretrained", "fine-tuned", "chat", "merge"),
        description="categories whose models must name their base model, if the rule base-declared applies",
    )
    quota: Count = Field(
        default=5, description="models that one submitter, and one organisation, may submit in a period"
    )
    quota_days: Annotated[float, Field(gt=0)] = Field(default=7, description="length of that period")
    quotas: Mapping[str, Count] = Field(default={}, description="other quotas, by the name of an account")
    official_providers: tuple[str, ...] = Field(default=(), description="organisations without a quota")
    do_not_submit: tuple[str, ...] = Field(default=(), description="models, or organisations, whose authors opted out")

    @model_validator(mode="before")
    @classmethod
    def _read_off(cls, section: Any) -> Any:
        """Restore the field `off`, whose name YAML reads as false."""
        if isinstance(section, Mapping) and False in section and "off" not in section:
            return {("off" if name is False else name): value for name, value in section.items()}
        return section

    def holds(self, rule: RuleName) -> bool:
        """Whether `rule` holds on this board."""
        return rule not in self.off

    def quota_of(self, name: str) -> int | None:
        """Return how many models the account `name` may submit in a window; None for no limit."""
        if self.is_official(name):
            return None
        return next((quota for account, quota in self.quotas.items() if _is_among(name, (account,))), self.quota)

    def is_official(self, account: str) -> bool:
        """Whether the organisation `account` is an official provider."""
        return _is_among(account, self.official_providers)

    def has_opted_out(self, model: str) -> bool:
        """Whether the authors of `model` opted out of this board."""
        return _is_among(model, self.do_not_submit) or _is_among(model.partition("/")[0], self.do_not_submit)


def _is_among(name: str, names: tuple[str, ...]) -> bool:
    return name.strip().casefold() in {other.strip().casefold() for other in names}
