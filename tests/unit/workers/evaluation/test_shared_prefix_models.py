"""The engine's log-likelihoods equal the harness's for each architecture, or it refuses the model with a reason."""

from __future__ import annotations

import random
from functools import wraps
from typing import Any

import pytest

from tests.support.long import long_except
from tests.support.models.families import FAMILIES, VOCABULARY, random_model
from tests.support.models.shared_prefix import harness_model
from workers.evaluation.shared_prefix.plan import Budget, make_plan
from workers.evaluation.shared_prefix.tree import AnswerRequest, ScoredAnswer

ASIDE = {
    "openai-gpt": "OpenAIGPTLMHeadModel takes no cache",
    "mamba": "its cache has layers of the kind LinearAttentionLayer",
    "rwkv": "RwkvForCausalLM takes no cache",
    "jamba": "its cache has layers of the kind LinearAttentionLayer",
    "recurrent_gemma": "its cache is a NoneType",
    "lfm2": "its cache has layers of the kind LinearAttentionLayer",
    "qwen3_next": "its cache has layers of the kind LinearAttentionLayer",
    "cpmant": "its cache holds other tokens than the prompt's",
    "deepseek_v32": "its cache has layers of the kind DynamicIndexedLayer",
    "minimax": "its cache is a MiniMaxCache",
    "gemma3n_text": "its cache has layers of the kind DummyLayer",
    "gemma4_text": "its cache has layers of the kind DummyLayer",
    "bert": "its cache is a NoneType",
    "bart": "not all layers of its cache hold keys and values",
    "falcon_h1": "its cache has layers of the kind LinearAttentionAndFullAttentionLayer",
}
"""Architecture → why the engine leaves it to the harness. With a newer transformers the engine may answer for it."""
UNUSED_WINDOW = {"moshi": 11}
"""Architecture → the window that only its cache has, not its attention: longer sequences go to the harness."""
CHAINS = {"bloom", "falcon/alibi", "mpt", "gpt_neo"}
"""Architectures without windows in their cache whose rows cannot hold trees."""
SAMPLE = ("llama", "mistral", "phi3/longrope", "gpt2", "bloom", "mamba", "cpmant", "moshi", "deepseek_v32", "minimax")
"""Architectures that `make test` compares; `make long` compares the others."""
LONGEST = 200
BUDGETS = (Budget(2000, 400), Budget(260, 130), Budget(0, 500))


def pairs() -> list[tuple[list[int], list[int]]]:
    """Contexts and answers: shared examples, answers of one and of several tokens, an empty context, and long ones.

    So many answers begin differently that the caches of contexts are kept, of two lengths in one batch.
    """
    source = random.Random(1)

    def tokens(count: int) -> list[int]:
        return [source.randrange(3, VOCABULARY) for _ in range(count)]

    examples = tokens(30)
    answers = [[5], [6], [8, 9, 10], [8, 9, 11], [8, 12], *([first, 7] for first in (13, 14, 15, 16))]
    contexts = [[*examples, *tokens(length)] for length in (8, 20, 21, 55)] + [
        [1],
        tokens(LONGEST),
        tokens(LONGEST + 9),
    ]
    return [(context, answer) for context in contexts for answer in answers]


@pytest.mark.parametrize("family", long_except(SAMPLE, FAMILIES, "one of some fifty architectures"))
def test_numbers_equal_the_harness_ones(family: str) -> None:
    """Log-likelihoods of a tiny random model differ by less than 0.0001, with any budget, or the engine refuses it."""
    from workers.evaluation.shared_prefix.admission import examine
    from workers.evaluation.shared_prefix.engine import Numerics

    model = random_model(family)
    admission = examine(model, "cpu", Numerics())
    assert admission.reason in {"", ASIDE.get(family, "")}
    if admission.engine is None:
        return
    if family in UNUSED_WINDOW:
        assert admission.longest_input == UNUSED_WINDOW[family]
    longest = admission.longest_input or LONGEST
    requests = [(context, answer) for context, answer in pairs() if longest == LONGEST or len(context) < longest - 3]
    expected = harness_model(model, max_length=longest).harness_answers([(None, *pair) for pair in requests], 1)
    planned = [AnswerRequest.from_pair(*pair, longest) for pair in requests]
    assert admission.trees_in_rows == (family not in CHAINS and (admission.window or LONGEST + 1) > 30)
    trees = [False, True] if admission.trees_in_rows and (admission.window or LONGEST + 1) > LONGEST else [False]
    for trees_in_rows in trees:
        for budget in BUDGETS:
            plan = make_plan(planned, budget, trees_in_rows=trees_in_rows)
            check_equal(dict(admission.engine.answers(plan)), expected)


def test_a_model_that_rejects_its_cache_stands_aside() -> None:
    """The engine refuses a model that raises an error when it has to continue its cache with several tokens."""
    from workers.evaluation.shared_prefix.admission import examine
    from workers.evaluation.shared_prefix.engine import Numerics

    model = random_model("llama")
    forward = model.forward

    @wraps(forward)
    def rejecting(tokens: Any, *, cache: Any = None, **options: Any) -> Any:
        if cache is not None and cache.get_seq_length() and tokens.shape[1] > 1:
            raise ValueError("one token at a time")
        return forward(tokens, cache=cache, **options)

    model.forward = rejecting
    assert examine(model, "cpu", Numerics()).reason == "it does not continue its cache"


def test_a_model_that_rejects_a_mask_computes_chains() -> None:
    """For a model that raises an error if it gets a mask with four dimensions, the engine puts no trees in rows."""
    from workers.evaluation.shared_prefix.admission import examine
    from workers.evaluation.shared_prefix.engine import Numerics

    model = random_model("llama")
    forward = model.forward

    @wraps(forward)
    def rejecting(tokens: Any, *, attention_mask: Any = None, **options: Any) -> Any:
        if attention_mask is not None:
            raise ValueError("a mask has two dimensions")
        return forward(tokens, **options)

    model.forward = rejecting
    admission = examine(model, "cpu", Numerics())
    assert (admission.reason, admission.trees_in_rows) == ("", False)


def check_equal(actual: dict[int, ScoredAnswer], expected: list[ScoredAnswer]) -> None:
    """Check that log-likelihoods are near each other and the other values equal."""
    assert sorted(actual) == list(range(len(expected)))
    assert [actual[index][1] for index in sorted(actual)] == [greedy for _, greedy in expected]
    assert max(abs(actual[index][0] - expected[index][0]) for index in actual) < 1e-4
