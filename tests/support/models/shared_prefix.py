"""Wraps a model in memory as a harness model with the shared-prefix engine, and compares the engines' answers."""

from __future__ import annotations

import random
from functools import cache
from types import SimpleNamespace
from typing import Any

import pytest

from tests.support.models.tiny_models import tokenizer

LETTERS = "abcdefgh"
LONGEST = 120
"""Maximum length, in tokens, of the sequences of models whose answers are compared."""


class ReportedAnswers:
    """A cache hook of the harness that notes the answers, and counts the model's steps between two of them."""

    def __init__(self) -> None:
        self.answers: list[tuple[Any, Any]] = []
        self.silent_steps = self.longest_silence = 0

    def add_partial(self, attribute: str, texts: Any, answer: Any) -> None:
        """Note a reported answer."""
        assert attribute in ("loglikelihood", "loglikelihood_rolling")
        self.answers.append((texts, answer))
        self.silent_steps = 0

    def withdraw(self, count: int) -> None:
        """Forget the last answers, which are reported again."""
        del self.answers[len(self.answers) - count :]

    def count_step(self, *_: Any) -> None:
        """Count a step of the model."""
        self.silent_steps += 1
        self.longest_silence = max(self.longest_silence, self.silent_steps)


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


def answer_with(model: Any, engine: str, requests: list[Any], **options: Any) -> tuple[Any, list[Any], list[Any]]:
    """Answer `requests` with this engine; return the harness's model, its answers and its reports."""
    harness = harness_model(model, max_length=LONGEST, engine=engine, **options)
    reports = ReportedAnswers()
    harness.set_cache_hook(reports)
    harness.withdraw = reports.withdraw
    return harness, harness.loglikelihood(requests, disable_tqdm=True), reports.answers


def check_same(actual: list[Any], expected: list[Any]) -> None:
    """Check that answers are the same up to float32's rounding."""
    assert [greedy for _, greedy in actual] == [greedy for _, greedy in expected]
    assert [value for value, _ in actual] == pytest.approx([value for value, _ in expected], abs=1e-4)
