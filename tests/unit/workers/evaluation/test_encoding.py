"""Texts that are encoded many at once give the tokens that the harness gets one by one."""

from __future__ import annotations

from typing import Any

from tests.support.models.families import random_model
from tests.support.models.shared_prefix import harness_model
from workers.evaluation.shared_prefix.encoding import CHUNK, BatchEncoder

BEGINNING = "<|endoftext|>"
PAIRS = [
    (f"{beginning}Question {number}?{spaces}", f"{answer} {number}")
    for number in range(CHUNK // 4)
    for beginning, spaces in (("", "  "), (BEGINNING, ""))
    for answer in (" yes", "no")
] + [("", "no context"), ("   ", "spaces")]


class _Request:
    request_type, task_name = "loglikelihood", "task"

    def __init__(self, context: str, answer: str) -> None:
        self.args = (context, answer)


def _encoded(engine: str, **options: Any) -> list[Any]:
    """The requests as a harness's model with `engine` encodes them."""
    model, encoded = harness_model(random_model("llama"), max_length=200, engine=engine, **options), []
    model._loglikelihood_tokens = lambda requests, **_: encoded.extend(requests)
    model.loglikelihood([_Request(*pair) for pair in PAIRS], disable_tqdm=True)
    return encoded


def test_texts_have_the_tokens_of_the_harness() -> None:
    """Contexts and answers have the harness's tokens, whatever `add_bos_token` is; the same answers share one list."""
    for options in ({}, {"add_bos_token": True}, {"add_bos_token": False}):
        encoded = _encoded("shared-prefix", **options)
        assert encoded == _encoded("harness", **options)
        assert encoded[2][1] is encoded[3][1]


def test_texts_are_encoded_one_by_one_where_a_batch_gives_other_tokens() -> None:
    """If a tokenizer gives other tokens for a batch, texts are encoded one by one, as the harness does."""
    encoder = BatchEncoder([("a", "b"), ("c", "d")], lambda text: [len(text)], lambda texts: [[0] for _ in texts])
    assert [encoder.encode(text) for text in ("ab", "a", "cd", "c")] == [[2], [1], [2], [1]]
