"""The harness's model around a model that is in memory already, with the engine of shared prefixes."""

from __future__ import annotations

from functools import cache
from typing import Any

from tests.support.models.tiny_models import tokenizer


@cache
def _tokenizer() -> Any:
    from tokenizers import Tokenizer
    from transformers import PreTrainedTokenizerFast

    files = tokenizer()
    built = Tokenizer.from_str(files["tokenizer.json"].decode())
    return PreTrainedTokenizerFast(tokenizer_object=built, eos_token="<|endoftext|>", bos_token="<|endoftext|>")


def harness_model(model: Any, *, max_length: int, engine: str = "harness", **options: Any) -> Any:
    """A `SharedPrefixModel` on the CPU."""
    from workers.evaluation.shared_prefix.model import SharedPrefixModel

    settings = {"device": "cpu", "batch_size": 4, "tokenizer": _tokenizer()} | options
    return SharedPrefixModel(pretrained=model, max_length=max_length, engine=engine, **settings)
