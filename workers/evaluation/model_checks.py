"""Checks of a model that the harness does not make: its files, its weights and its generations."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from transformers import BitsAndBytesConfig

from workers.common.run_plan import RunPlan
from workers.errors import GenerationEndless, NotANumber
from workers.models import checkpoint

TOKENIZER_FILES = ("tokenizer.json", "tokenizer_config.json", "vocab.json", "vocab.txt", "*.model", "*.tiktoken")


class CheckedLoader:
    """A model class whose `from_pretrained` quantises, and raises if the checkpoint lacks weights."""

    def __init__(self, loader: Any, quantisation: dict[str, str | bool]) -> None:
        self.loader = loader
        self.quantisation = quantisation

    def from_pretrained(self, *arguments: Any, **options: Any) -> Any:
        """Load the model with all its weights. Raises WeightsIncomplete, WeightsOfWrongShape."""
        # On wrong shapes the library would print which ones and raise without naming them: let it report them instead.
        reporting = {"output_loading_info": True, "ignore_mismatched_sizes": True}
        if self.quantisation:
            options["quantization_config"] = BitsAndBytesConfig(**self.quantisation)
        model, info = self.loader.from_pretrained(*arguments, **options, **reporting)
        checkpoint.check_loaded(info)
        return model


class GenerationGuard:
    """A logits processor that changes nothing: it checks the first scores, and that the text ends."""

    def __init__(self, max_tokens: int, dtype: str) -> None:
        self.max_tokens = max_tokens
        self.dtype = dtype
        self.checked = False

    def __call__(self, tokens: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        """Return the scores unchanged. Raises NotANumber, GenerationEndless."""
        if not self.checked:
            self.checked = True
            if bool(torch.isnan(scores).any()) or bool(torch.isposinf(scores).any()):
                raise NotANumber(f"the first token of an answer has scores that are NaN or infinite in {self.dtype}")
        if tokens.shape[1] > self.max_tokens:
            raise GenerationEndless(f"an answer has more than the {self.max_tokens} tokens of the model's context")
        return scores


def has_tokenizer(folder: Path) -> bool:
    """Whether `folder` holds files of a tokenizer."""
    return any(file for pattern in TOKENIZER_FILES for file in folder.glob(pattern))


def check_files(plan: RunPlan) -> None:
    """Check the files of a model and of its adapter or delta. Raises BadCheckpoint."""
    checkpoint.check_model_files(plan.weights_path)
    if plan.weight_type == "Adapter":
        checkpoint.check_adapter_files(plan.model_path)
    elif plan.weight_type == "Delta":
        checkpoint.check_model_files(plan.model_path)
