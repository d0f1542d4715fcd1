"""The harness's model with the engine: its answers equal the harness's, and which requests go to the harness itself."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from tests.support.models.families import random_model
from tests.support.models.shared_prefix import (
    LETTERS,
    LONGEST,
    check_same,
    harness_model,
    instances,
)
from tests.support.units.details_samples import sample
from workers.jobs.sample_comparison import EngineTolerance, compare_task
from workers.publication.details import sample_row


def test_answers_are_the_harness_ones(answer: Any) -> None:
    """All answers agree and are reported once; the record has the number of compared answers."""
    requests = instances()
    _, expected, _ = answer("harness", requests, logits_cache=False)
    harness, actual, reports = answer("shared-prefix", requests)
    check_same(actual, expected)
    assert sorted(texts for texts, _ in reports) == sorted(request.args for request in requests)
    record = harness.engine_record
    assert (record.engine, record.compared, record.reason) == ("shared-prefix", 64, "")
    assert 0 < record.largest_difference < 1e-4


def test_requests_that_split_one_sequence_differently_are_the_harness_ones(answer: Any) -> None:
    """Requests that split one sequence differently get the numbers of the harness's cache of logits, as in lm-eval."""
    requests, context = instances(), "abcdefgh" * 3
    pairs = [(context + "ab", "cde"), (context + "abc", "de"), (context + "abcd", "e"), (context + "abcd", "f")]
    requests += [SimpleNamespace(args=pair, task_name="birds") for pair in pairs]
    _, expected, _ = answer("harness", requests)
    _, right, _ = answer("harness", requests, logits_cache=False)
    harness, actual, reports = answer("shared-prefix", requests)
    check_same(actual, expected)
    assert abs(right[-2][0] - expected[-2][0]) > 0.01
    assert harness.engine_record.engine == "shared-prefix" and len(reports) == len(requests)


def test_sequences_beyond_the_limit_of_position_embeddings_are_the_harness_ones() -> None:
    """With Longrope, which changes all positions of sequences of over 64 tokens, all answers equal the harness's."""
    model, requests = random_model("phi3/longrope"), []
    for number in range(60):
        context = "abcdefgh" * (12 if number % 15 == 0 else 5) + LETTERS[number % 8] * (number // 8 + 1)
        requests += [SimpleNamespace(args=(context, text), task_name="t") for text in (" a", " b", " cde", " cdf")]
    expected = harness_model(model, max_length=LONGEST).loglikelihood(requests, disable_tqdm=True)
    harness = harness_model(model, max_length=LONGEST, engine="shared-prefix")
    check_same(harness.loglikelihood(requests, disable_tqdm=True), expected)
    assert (harness.engine_record.engine, harness.engine_record.reason) == ("shared-prefix", "")


@pytest.mark.long("a second of a processor")
@pytest.mark.parametrize(("kind", "window", "limit"), [("llama", 40, 40), ("llama", None, None), ("mistral", 40, None)])
def test_sequences_beyond_a_window_of_the_cache_alone_are_the_harness_ones(
    kind: str, window: int | None, limit: int | None
) -> None:
    """If only a model's cache has a window, the engine takes sequences up to it; all answers equal the harness's."""
    from workers.evaluation.shared_prefix.admission import examine
    from workers.evaluation.shared_prefix.engine import Numerics

    model, requests = random_model(kind), instances()
    model.config.sliding_window = window
    expected = harness_model(model, max_length=LONGEST).loglikelihood(requests, disable_tqdm=True)
    harness = harness_model(model, max_length=LONGEST, engine="shared-prefix")
    check_same(harness.loglikelihood(requests, disable_tqdm=True), expected)
    assert not harness.engine_record.reason.startswith("a log-likelihood")
    assert examine(model, "cpu", Numerics()).longest_input == limit


def test_half_precision_is_measured_by_two_batch_sizes(monkeypatch: pytest.MonkeyPatch) -> None:
    """With batch size 1, the harness also answers with batch size 4, to measure differences of half precision."""
    import torch

    model = random_model("llama").to(torch.bfloat16)
    harness = harness_model(model, max_length=LONGEST, engine="shared-prefix", batch_size=1)
    answers, sizes = harness.harness_answers, set[int]()

    def noted(requests: Any, batch_size: int, **options: Any) -> Any:
        sizes.add(batch_size)
        return answers(requests, batch_size, **options)

    monkeypatch.setattr(harness, "harness_answers", noted)
    harness.loglikelihood(instances(), disable_tqdm=True)
    assert sizes == {1, 4}


def test_requests_that_share_nothing_are_left_to_the_harness(answer: Any) -> None:
    """Requests that share too little are answered by the harness, without any comparison."""
    requests = [SimpleNamespace(args=(letter * 9, " a"), task_name="t") for letter in LETTERS]
    harness, actual, _ = answer("shared-prefix", requests)
    assert actual == answer("harness", requests)[1]
    assert (harness.engine_record.compared, harness.engine_record.reason) == (0, "the requests share too little")


def test_copies_that_choose_their_batch_size_together_use_the_harness(model: Any) -> None:
    """If several copies choose their batch size together (`auto`), the harness answers all requests."""
    harness = harness_model(model, max_length=LONGEST, engine="shared-prefix", batch_size="auto")
    harness._world_size = 2
    harness.all_gather = lambda tensor: tensor.expand(2)
    harness._detect_batch_size = lambda *_: 4
    harness.loglikelihood(instances(20), disable_tqdm=True)
    assert harness.engine_record.reason == "copies choose their batch size together"


def test_rolling_log_likelihoods_are_the_harness_ones(answer: Any) -> None:
    """Rolling log-likelihoods of whole texts are computed by the harness, not by the engine."""
    harness, *_ = answer("shared-prefix", [])
    requests = [SimpleNamespace(args=("abc" * 90,), task_name="t")]
    assert harness.loglikelihood_rolling(requests) == answer("harness", [])[0].loglikelihood_rolling(requests)
    assert harness.engine_record is None


def test_half_precision_uses_the_harness_dtype(answer: Any) -> None:
    """In bfloat16 the log-likelihoods are sums of bfloat16, as the harness's are, and the engine is accepted."""
    import torch

    harness = harness_model(random_model("llama").bfloat16(), max_length=LONGEST, engine="shared-prefix")
    answers = harness.loglikelihood(instances(), disable_tqdm=True)
    assert harness.engine_record.reason == ""
    assert all(value == float(torch.tensor(value, dtype=torch.bfloat16)) for value, _ in answers)


@pytest.mark.long("two models in each precision")
@pytest.mark.parametrize(
    ("dtype", "wrong"), [("float16", False), ("bfloat16", True), ("bfloat16", False), ("float16", True)]
)
def test_one_engine_verifies_half_precision_of_the_other(
    dtype: str, wrong: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In the comparison of `steward verify --engine`, a right engine's samples agree, a wrong cache's do not."""
    import torch

    from workers.evaluation.shared_prefix import caches, engine_run, trust

    requests, model = instances(), random_model("llama").to(getattr(torch, dtype))
    published = harness_model(model, max_length=LONGEST).loglikelihood(requests, disable_tqdm=True)
    if wrong:
        select = caches._select
        monkeypatch.setattr(caches, "_select", lambda *arguments: select(*arguments) * 1.1)
        monkeypatch.setattr(engine_run.EngineRun, "compare", lambda *_: (trust.Comparison({}), ""))
    harness = harness_model(model, max_length=LONGEST, engine="shared-prefix")
    here = harness.loglikelihood(requests, disable_tqdm=True)
    assert harness.engine_record.engine == "shared-prefix"
    samples = [
        [sample_row(sample(doc_id=number, resps=[[[*map(str, answer)]]]), ()) for number, answer in enumerate(answers)]
        for answers in (published, here)
    ]
    tolerance = EngineTolerance(str(model.dtype))
    comparison = compare_task("task", *samples, tolerance)
    assert (comparison.samples, comparison.agreeing) == (len(requests), len(requests))
    assert comparison.equal < comparison.samples
    assert (tolerance.disagreement() != "") is wrong


def test_an_unknown_engine_is_rejected(model: Any) -> None:
    """An unknown name of an engine raises an error."""
    with pytest.raises(ValueError, match="the engine is 'fast'"):
        harness_model(model, max_length=LONGEST, engine="fast")


def test_the_command_line_knows_the_model() -> None:
    """The module of `steward-eval` registers the model `steward-hf`, whose default engine is `shared-prefix`."""
    from inspect import signature

    from lm_eval.api.registry import get_model

    from workers.evaluation.shared_prefix.standalone import MODEL, StandaloneModel

    assert get_model(MODEL) is StandaloneModel
    assert signature(StandaloneModel.__init__).parameters["engine"].default == "shared-prefix"
