"""Continuous batching: it generates the same texts as one prompt at a time, and the engine checks them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS

from tests.support.long import long_except
from tests.support.models.families import random_model
from tests.support.models.letter_model import PROMPTS, SHARED, llama
from workers.evaluation.shared_prefix import generation, row_generation
from workers.evaluation.shared_prefix.continuous_batching import generate_pages
from workers.evaluation.shared_prefix.drafts import Draft
from workers.evaluation.shared_prefix.failures import GenerationFailed
from workers.evaluation.shared_prefix.row_batch import RowBatch
from workers.evaluation.shared_prefix.row_generation import generate_rows


class Letters:
    """A tokenizer of single letters."""

    def encode(self, text: str, add_special_tokens: bool = False) -> list[int]:
        return [ord(letter) - 97 for letter in text]

    def decode(self, tokens: list[int]) -> str:
        return "".join(chr(97 + token) for token in tokens)


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


@pytest.fixture(params=["rows", "pages"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """The method of generation for a CPU ("rows"), or the one for a GPU ("pages"), which runs on a CPU, too."""
    name: str = request.param
    if name == "pages":
        monkeypatch.setattr(row_generation, "generate_rows", generate_pages)
    return name


BATCHES = long_except(
    {"3-different", "16-one beginning"},
    [(prompts, rows) for prompts in (PROMPTS, SHARED) for rows in (1, 3, 16)],
    "another number of rows",
    name=lambda batch: f"{batch[1]}-{'different' if batch[0] is PROMPTS else 'one beginning'}",
)


@pytest.mark.usefixtures("way")
@pytest.mark.parametrize(("prompts", "rows"), BATCHES)
def test_answers_are_those_of_one_prompt_at_a_time(prompts: list[list[int]], rows: int) -> None:
    """Whatever the batch holds, each answer has the greedy tokens, and ends at end of text, stop sequence or limit."""
    model, tokenizer = llama(), Letters()
    free = one_by_one(model, prompts, 24, lambda _: False)
    stop = tokenizer.decode(free[2][5:7])
    checker = generation.AnswerChecker(model, 1e-3, first=100, every=1)
    stops, capacity = generation.stop_sequences(tokenizer, [stop]), generation.Capacity(rows, 200)
    answers = dict(
        generation.generate(
            model, tokenizer, prompts, stops=stops, max_new_tokens=24, capacity=capacity, checker=checker
        )
    )
    expected = one_by_one(model, prompts, 24, lambda answer: stop in tokenizer.decode(answer[-4:]))
    assert [answers[number] for number in range(len(prompts))] == expected
    assert len({len(answer) for answer in expected}) > 1
    assert checker.compared == len(prompts) and checker.largest < 1e-3


@pytest.mark.usefixtures("way")
def test_a_full_cache_loses_no_answer() -> None:
    """If answers outgrow the cache, some wait and are completed later, and all have the expected tokens."""
    model, tokenizer = llama(eos_token_id=None), Letters()
    free = one_by_one(model, PROMPTS, 40, lambda _: False)
    stops = [tokenizer.decode(answer[-6:-2]) for answer in free]
    expected = one_by_one(
        model, PROMPTS, 40, lambda answer: any(stop in tokenizer.decode(answer[-6:]) for stop in stops)
    )
    checker = generation.AnswerChecker(model, 1e-3, first=0, every=100)
    answers = dict(
        generation.generate(
            model, tokenizer, PROMPTS, stops=generation.stop_sequences(tokenizer, stops), max_new_tokens=40,
            capacity=generation.Capacity(len(PROMPTS), 200), checker=checker,
        )
    )  # fmt: skip
    assert [answers[number] for number in range(len(PROMPTS))] == expected
    assert max(map(len, expected)) < 40


def test_rows_that_outgrow_the_cache_wait_and_begin_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """All rows' caches together stay within the limit: rows give up their caches, begin again, and are completed."""
    model, compute, used, began = llama(eos_token_id=None), RowBatch.compute, list[int](), list[int]()

    def watched(batch: RowBatch, chosen: Any) -> Any:
        used.append(sum(row.capacity for row, _, _ in chosen))
        began.extend(row.number for row, _, _ in chosen if row.cached == 0)
        return compute(batch, chosen)

    monkeypatch.setattr(RowBatch, "compute", watched)
    checker = generation.AnswerChecker(model, 1e-3, first=100, every=1)
    answers = dict(
        generation.generate(
            model,
            Letters(),
            PROMPTS[:5],
            stops=[],
            max_new_tokens=90,
            capacity=generation.Capacity(5, 260),
            checker=checker,
        )
    )
    assert [len(answers[number]) for number in range(5)] == [90] * 5 and checker.compared == 5
    assert max(used) <= 260 and len(began) > 5


def test_a_row_that_alone_needs_more_than_the_cache_is_generated() -> None:
    """Rows are generated although each of them needs more tokens than all caches together may hold."""
    rows = generate_rows(llama(), PROMPTS[:2], [], rows=2, cache_tokens=10, max_new_tokens=3, has_ended=lambda _: False)
    assert sorted((number, len(answer)) for number, answer in rows) == [(0, 3), (1, 3)]


def test_a_window_shows_the_same_tokens_behind_a_shared_beginning() -> None:
    """With a sliding window of attention, prompts that share a beginning get the same answers as one at a time."""
    model = llama("mistral", sliding_window=20, eos_token_id=None)
    checker = generation.AnswerChecker(model, 1e-3, first=100, every=1)
    answers = dict(
        generation.generate(
            model,
            Letters(),
            SHARED,
            stops=[],
            max_new_tokens=30,
            capacity=generation.Capacity(9, 2_000),
            checker=checker,
        )
    )
    assert [answers[number] for number in range(len(SHARED))] == one_by_one(model, SHARED, 30, lambda _: False)


@pytest.mark.parametrize(
    "kind", [lambda: random_model("llama4_text"), lambda: llama(sliding_window=11)], ids=["chunks", "unused window"]
)
def test_texts_beyond_a_window_of_the_cache_alone_are_the_harness_ones(kind: Callable[[], Any]) -> None:
    """Models whose cache has a window that their attention lacks give the same texts within it, an error beyond it."""
    model, prompts = kind(), [[3, 1, 4], [1, 5, 9, 2, 6]]
    expected = one_by_one(model, prompts, 6, lambda _: False)

    def generated(tokens: int) -> dict[int, list[int]]:
        checker = generation.AnswerChecker(model, 1e-3, first=0, every=100)
        capacity = generation.Capacity(2, 500)
        return dict(
            generation.generate(
                model, Letters(), prompts, stops=[], max_new_tokens=tokens, capacity=capacity, checker=checker
            )
        )

    assert [generated(6)[number] for number in range(2)] == expected
    with pytest.raises(GenerationFailed, match="a window of its cache"):
        generated(7)


def test_guesses_are_what_followed_before() -> None:
    """A draft guesses what followed its last tokens earlier, also in a loop, and adapts the length to its success."""
    draft = Draft([5, 1, 2, 3, 7, 8, 1, 2])
    assert draft.guess(10) == []
    draft.append(3)
    assert draft.guess(10) == [7, 8] and draft.guess(1) == [7]
    draft.judge(2, 2)
    assert draft.guess(10) == [7, 8, 1, 2]
    draft.judge(4, 1)
    assert draft.guess(10) == [7]
    loop = Draft([4, 4, 4, 4])
    loop.judge(16, 16)
    assert loop.guess(9) == [4] * 9


def test_guesses_save_steps_and_change_no_token(monkeypatch: pytest.MonkeyPatch) -> None:
    """A text that repeats itself takes fewer steps than it has tokens."""
    model, tokenizer = llama(eos_token_id=None), Letters()
    steps = []
    compute = RowBatch.compute
    monkeypatch.setattr(RowBatch, "compute", lambda *arguments: steps.append(1) or compute(*arguments))
    checker = generation.AnswerChecker(model, 1e-3, first=100, every=1)
    ((_, answer),) = generation.generate(
        model, tokenizer, SHARED[:1], stops=[], max_new_tokens=200, capacity=generation.Capacity(8, 1_000),
        checker=checker,
    )  # fmt: skip
    assert answer == one_by_one(model, SHARED[:1], 200, lambda _: False)[0]
    assert len(steps) < 150 and checker.compared == 1


def test_other_attention_stays_as_it_is() -> None:
    """While an answer is handled, and after it, a plain forward pass uses the usual attention."""
    model, tokens = llama(), torch.tensor([SHARED[2]])
    with torch.inference_mode():
        before = model(tokens).logits
        for _ in generate_rows(
            model, PROMPTS, [], rows=4, cache_tokens=500, max_new_tokens=5, has_ended=lambda _: False
        ):
            assert torch.equal(model(tokens).logits, before)
    assert ALL_ATTENTION_FUNCTIONS["sdpa"] is sdpa_attention_forward
