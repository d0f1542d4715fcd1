"""What a suite may choose in `options` of the evaluator of code."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from workers.evaluators.code.runner import SolutionLimits

Text = Annotated[str, Field(min_length=1, max_length=200)]


class CodeOptions(BaseModel):
    """The options, with what holds if they are left out."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    samples: int = Field(default=1, ge=1, le=1_000)
    """Answers to each problem; pass_at_k needs k at least."""
    temperature: float = Field(default=0.0, ge=0.0, le=10.0)
    """0: greedy."""
    top_p: float = Field(default=1.0, gt=0.0, le=1.0)
    max_new_tokens: int = Field(default=512, ge=1, le=32_768)
    stop: tuple[Text, ...] = ("\nclass", "\ndef", "\n#", "\nif", "\nprint")
    """What ends an answer, unless the chat template is used; HumanEval's own."""
    files: dict[str, str] = {}
    """Task → the path of its problems in the first dataset; `{task}.jsonl` if left out. `.jsonl` or `.parquet`."""
    seconds: float = Field(default=10.0, gt=0.0, le=600.0)
    """Of one solution with all tests of its problem."""
    memory_bytes: int = Field(default=512 << 20, ge=64 << 20)
    """Of one solution."""
    modules: tuple[Text, ...] = ()
    """Modules that solutions and tests may import, besides those of the standard library that are loaded."""

    @property
    def limits(self) -> SolutionLimits:
        """The limits of one solution."""
        return SolutionLimits(self.seconds, self.memory_bytes, self.modules)
