"""Continuous batching gives the texts of the harness, ends where it ends, and is checked."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch

from workers.evaluation import continuous_generation as cg


class Letters:
    """A tokenizer of single letters."""

    def encode(self, text: str, add_special_tokens: bool = False) -> list[int]:
        return [ord(letter) - 97 for letter in text]

    def decode(self, tokens: list[int]) -> str:
        return "".join(chr(97 + token) for token in tokens)


def llama(**config: Any) -> Any:
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.manual_seed(0)
    sizes: dict[str, Any] = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "vocab_size": 26}
    heads = {"num_attention_heads": 4, "num_key_value_heads": 2, "max_position_embeddings": 512}
    model = LlamaForCausalLM(LlamaConfig(**{**sizes, **heads, "eos_token_id": 0, **config}))
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.5)
    return model.eval()


def one_by_one(model: Any, prompts: list[list[int]], tokens: int, ends: Callable[[list[int]], bool]) -> list[list[int]]:
    """Greedy answers by one plain forward pass a token."""
    answers = []
    for prompt in prompts:
        answer: list[int] = []
        while len(answer) < tokens:
            with torch.inference_mode():
                logits = model(torch.tensor([[*prompt, *answer]])).logits[0, -1]
            answer.append(int(logits.argmax()))
            if answer[-1] == model.config.eos_token_id or ends(answer):
                break
        answers.append(answer)
    return answers


PROMPTS = [[(seed * 7 + at * at) % 25 + 1 for at in range(3 + seed * 5)] for seed in range(9)]
SHARED = [[(at * 5) % 25 + 1 for at in range(70)] + prompt for prompt in PROMPTS]


@pytest.mark.parametrize("prompts", [PROMPTS, SHARED], ids=["different", "one beginning"])
@pytest.mark.parametrize("rows", [1, 3, 16])
def test_answers_are_those_of_one_prompt_at_a_time(prompts: list[list[int]], rows: int) -> None:
    """Whatever the batch holds, each answer has the greedy tokens, and ends at end of text, stop sequence or limit."""
    model, tokenizer = llama(), Letters()
    free = one_by_one(model, prompts, 24, lambda _: False)
    stop = tokenizer.decode(free[2][5:7])
    stops = cg.stop_sequences(tokenizer, [stop])
    answers: dict[int, list[int]] = {}
    cg.generate(
        model, tokenizer, prompts,
        stops=stops, max_new_tokens=24, capacity=cg.Capacity(rows, 200), ended=answers.__setitem__,
    )  # fmt: skip
    expected = one_by_one(model, prompts, 24, lambda answer: stop in tokenizer.decode(answer[-4:]))
    assert [answers[number] for number in range(len(prompts))] == expected
    assert len({len(answer) for answer in expected}) > 1
    checker = cg.Checker(model, 1e-3)
    assert all(checker.agrees(prompt, answer) for prompt, answer in zip(prompts, expected, strict=True))
