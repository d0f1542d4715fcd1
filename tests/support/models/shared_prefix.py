"""Wraps a model in memory as the harness's model with the shared-prefix engine."""

from __future__ import annotations

import random
from functools import cache
from types import SimpleNamespace
from typing import Any

from tests.support.models.tiny_models import tokenizer

LETTERS = "abcdefgh"


@cache
def _tokenizer() -> Any:
    from tokenizers import Tokenizer
    from transformers import PreTrainedTokenizerFast

    files = tokenizer()
    built = Tokenizer.from_str(files["tokenizer.json"].decode())
    return PreTrainedTokenizerFast(tokenizer_object=built, eos_token="<|endoftext|>", bos_token="<|endoftext|>")


def harness_model(model: Any, *, max_length: int | None, engine: str = "harness", **options: Any) -> Any:
    """A `SharedPrefixModel` on the CPU."""
    from workers.evaluation.shared_prefix.model import SharedPrefixModel

    settings = {"device": "cpu", "batch_size": 4, "tokenizer": _tokenizer()} | options
    return SharedPrefixModel(pretrained=model, max_length=max_length, engine=engine, **settings)


def instances(questions: int = 60) -> list[Any]:
    """Questions of two tasks with shared examples: answers of one and of several tokens, and one empty context."""
    source = random.Random(0)
    examples = {task: "".join(source.choices(LETTERS, k=60)) for task in ("birds", "trees")}
    pairs = [("birds", "", "abc"), ("birds", "x" * 200, "abc")]
    for number in range(questions):
        task = ("birds", "trees")[number % 2]
        context = examples[task] + "".join(source.choices(LETTERS, k=source.randrange(9, 30)))
        pairs += [(task, context, answer) for answer in (" a", " b", " cde", " cdf")]
    return [SimpleNamespace(args=(context, answer), task_name=task) for task, context, answer in pairs]
