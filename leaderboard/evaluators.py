"""Evaluators: the programs that evaluate a model, as a suite names them.

A suite without an evaluator is run by lm-eval. Any other evaluator is a command that a worker's child runs in the
sandbox; it reads and leaves the files that `leaderboard.evaluator_contract` defines.
"""

from __future__ import annotations

import json
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, JsonValue, StringConstraints, field_validator

LM_EVAL = "lm-eval"
"""The name of the evaluator that needs no command."""
MAX_OPTIONS = 20_000
"""Characters of an evaluator's options as JSON."""

EvaluatorName = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9-]{0,60}$")]
EvaluatorVersion = Annotated[str, StringConstraints(min_length=1, max_length=100)]
MetricName = Annotated[str, StringConstraints(pattern=r"^[a-z0-9_]{1,60}$")]
OptionName = Annotated[str, StringConstraints(min_length=1, max_length=100)]
Word = Annotated[str, StringConstraints(min_length=1, max_length=1_000)]


class EvaluatorNeeds(BaseModel):
    """What an evaluator needs of a model. Admission does not check what it does not need."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    tokenizer: bool = Field(default=True, description="a tokenizer that loads and fits the model")
    chat_template: bool = Field(default=True, description="a chat template, where a request asks for it")
    causal: bool = Field(default=True, description="the architecture of a causal language model")


class ScoresAgain(BaseModel):
    """The stored answers that an evaluator can score again without a model (mode `score` of plan.json)."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    options: tuple[OptionName, ...] = Field(
        default=(), max_length=100, description="options on which scores depend, and answers do not"
    )
    versions: tuple[EvaluatorVersion, ...] = Field(
        default=(), max_length=100, description="earlier versions of the evaluator whose answers it scores, too"
    )


class EvaluatorIdentity(BaseModel):
    """The name and the version of an evaluator."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: EvaluatorName = Field(description="its name")
    version: EvaluatorVersion = Field(description="its version")


class Evaluator(EvaluatorIdentity):
    """An evaluator other than lm-eval."""

    name: EvaluatorName = Field(description="its name: letters, digits and dashes")
    version: EvaluatorVersion = Field(description="its version; results of another one cannot be compared")
    command: tuple[Word, ...] = Field(
        min_length=1, max_length=50, description="the program and its arguments; `python` is the worker's own"
    )
    needs: EvaluatorNeeds = Field(default_factory=EvaluatorNeeds, description="what it needs of a model")
    options: dict[str, JsonValue] = Field(default_factory=dict, description="settings that it finds in plan.json")
    reported: tuple[MetricName, ...] = Field(
        default=(), max_length=50, description="metrics that are no mean of the samples: what it reports counts"
    )
    max_errors: int = Field(
        default=0, ge=0, le=1_000_000, description="questions of a task that may end with an error instead of an answer"
    )
    scores_again: ScoresAgain | None = Field(
        default=None, description="which stored answers it can score again, as below; without it, none"
    )

    @field_validator("name")
    @classmethod
    def _is_another(cls, name: str) -> str:
        if name == LM_EVAL:
            raise ValueError(f"{LM_EVAL} takes no command: write `evaluator: {LM_EVAL}`, or leave the field out")
        return name

    @field_validator("options")
    @classmethod
    def _bounded(cls, options: dict[str, JsonValue]) -> dict[str, JsonValue]:
        if len(json.dumps(options)) > MAX_OPTIONS:
            raise ValueError(f"the options have more than {MAX_OPTIONS:,} characters")
        return options

    @property
    def identity(self) -> EvaluatorIdentity:
        """Its name and version alone."""
        return EvaluatorIdentity(name=self.name, version=self.version)

    @property
    def scoring(self) -> dict[str, Any]:
        """The fields on which scores may depend, as JSON data: all but the command, whose paths belong to one machine,
        the needs and `scores_again`."""
        return self.model_dump(mode="json", exclude={"command", "needs", "scores_again"})
