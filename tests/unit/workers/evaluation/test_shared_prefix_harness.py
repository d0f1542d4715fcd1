"""The harness's model with the engine: the same answers, and the harness's way where the engine is not to be used."""

from __future__ import annotations

import random
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest

from tests.support.models.families import random_model
from tests.support.models.shared_prefix import harness_model

LETTERS = "abcdefgh"
LONGEST = 120


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


class Reports:
    """A cache hook of the harness that counts its calls."""

    def __init__(self) -> None:
        self.answers: list[tuple[Any, Any]] = []

    def add_partial(self, attribute: str, texts: Any, answer: Any) -> None:
        """Note a reported answer."""
        assert attribute in ("loglikelihood", "loglikelihood_rolling")
        self.answers.append((texts, answer))


@pytest.fixture(scope="module")
def model() -> Any:
    """A tiny Llama, which all tests share."""
    return random_model("llama")


@pytest.fixture
def answer(model: Any) -> Iterator[Any]:
    """Answers `instances` with the given engine; returns the harness's model, its answers and its reports."""

    def answered(engine: str, requests: list[Any], **options: Any) -> tuple[Any, list[Any], list[Any]]:
        harness = harness_model(model, max_length=LONGEST, engine=engine, **options)
        reports = Reports()
        harness.set_cache_hook(reports)
        return harness, harness.loglikelihood(requests, disable_tqdm=True), reports.answers

    return answered


def check_same(actual: list[Any], expected: list[Any]) -> None:
    """Check that answers are the same up to float32's rounding."""
    assert [greedy for _, greedy in actual] == [greedy for _, greedy in expected]
    assert [value for value, _ in actual] == pytest.approx([value for value, _ in expected], abs=1e-4)


def test_answers_are_the_harness_ones(answer: Any) -> None:
    """All answers agree and are reported once; the record tells how many were compared."""
    requests = instances()
    _, expected, _ = answer("harness", requests, logits_cache=False)
    harness, actual, reports = answer("shared-prefix", requests)
    check_same(actual, expected)
    assert sorted(texts for texts, _ in reports) == sorted(request.args for request in requests)
    record = harness.engine_record
    assert (record.engine, record.compared, record.reason) == ("shared-prefix", 64, "")
    assert 0 < record.largest_difference < 1e-4


@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "float16"])
def test_wrong_values_in_a_cache_are_caught(dtype: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A cache that gives back other values than it was given: the results are the harness's own."""
    import torch

    from workers.evaluation.shared_prefix import caches

    select, factor = caches._select, 1.01 if dtype == "float32" else 1.1
    monkeypatch.setattr(caches, "_select", lambda *arguments: select(*arguments) * factor)
    model, requests = random_model("llama").to(getattr(torch, dtype)), instances()
    expected = harness_model(model, max_length=LONGEST).loglikelihood(requests, disable_tqdm=True)
    harness = harness_model(model, max_length=LONGEST, engine="shared-prefix")
    assert harness.loglikelihood(requests, disable_tqdm=True) == expected
    assert harness.engine_record.engine == "harness"
    assert harness.engine_record.reason.startswith("a log-likelihood is" if dtype == "float32" else "log-likelihoods")


@pytest.mark.parametrize(
    ("context", "text", "task"),
    [("abc" * 20, " a", "rare"), ("abc" * 20, " ab", "birds"), ("a" * 200, " a", "birds"), ("ab", " a", "birds")],
    ids=["a rare task", "a longer answer", "a context that is cut", "shorter than the window"],
)
def test_an_error_in_one_rare_request_is_caught(
    monkeypatch: pytest.MonkeyPatch, context: str, text: str, task: str
) -> None:
    """Of every kind a request is compared before the others are computed: the only one of its kind, too."""
    from workers.evaluation.shared_prefix import model as shared_prefix_model
    from workers.evaluation.shared_prefix import trust

    model, requests = random_model("mistral"), instances(30)[2:]
    requests.append(SimpleNamespace(args=(context, text), task_name=task))

    class Failing(shared_prefix_model._Work):
        def answers(self, indexes: Any) -> Any:
            for index, (value, greedy) in super().answers(indexes):
                yield index, (value - 0.01 * (index == len(requests) - 1), greedy)

    monkeypatch.setattr(shared_prefix_model, "_Work", Failing)
    monkeypatch.setattr(trust, "COMPARED", 4)
    expected = harness_model(model, max_length=LONGEST).loglikelihood(requests, disable_tqdm=True)
    harness = harness_model(model, max_length=LONGEST, engine="shared-prefix")
    assert harness.loglikelihood(requests, disable_tqdm=True) == expected
    assert harness.engine_record.reason.startswith("a log-likelihood is")
    assert harness.engine_record.compared <= 5


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_wrong_values_after_the_first_comparison_are_caught(
    model: Any, dtype: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Values go wrong while the engine works: all results are the harness's, and no answer is reported twice."""
    import torch

    from workers.evaluation.shared_prefix import model as shared_prefix_model
    from workers.evaluation.shared_prefix import trust

    class Failing(shared_prefix_model._Work):
        def answers(self, indexes: Any) -> Any:
            answers = super().answers(indexes)
            if len(indexes) <= trust.COMPARED:
                return answers
            return (
                (index, (value - 5 * (place > 70), greedy)) for place, (index, (value, greedy)) in enumerate(answers)
            )

    monkeypatch.setattr(shared_prefix_model, "_Work", Failing)
    monkeypatch.setattr(trust, "COMPARED_EVERY", 10)
    requests, reports = instances(), Reports()
    model = model if dtype == "float32" else random_model("llama").to(torch.bfloat16)
    expected = harness_model(model, max_length=LONGEST).loglikelihood(requests, disable_tqdm=True)
    harness = harness_model(model, max_length=LONGEST, engine="shared-prefix")
    harness.set_cache_hook(reports)
    assert harness.loglikelihood(requests, disable_tqdm=True) == expected
    assert sorted(texts for texts, _ in reports.answers) == sorted(request.args for request in requests)
    assert harness.engine_record.engine == "harness"
    assert harness.engine_record.largest_difference > 4.9


@pytest.mark.parametrize("room", [250, 0])
def test_less_memory_gives_the_same_answers(answer: Any, room: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """A device with memory for `room` tokens of a batch: smaller steps, and with no room at all one by one."""
    import torch

    from workers.evaluation.shared_prefix.engine import PrefixEngine

    compute = PrefixEngine._compute

    def limited(self: Any, step: Any, parent: Any) -> Any:
        if step.tokens > room:
            raise torch.OutOfMemoryError
        return compute(self, step, parent)

    requests = instances()
    _, expected, _ = answer("harness", requests, logits_cache=False)
    monkeypatch.setattr(PrefixEngine, "_compute", limited)
    monkeypatch.setattr("workers.evaluation.shared_prefix.admission._agree", lambda *_: True)
    harness, actual, reports = answer("shared-prefix", requests)
    check_same(actual, expected)
    assert len(reports) == len(requests)
    assert harness.batch_size == 4


def test_sequences_beyond_the_limit_of_position_embeddings_are_the_harness_ones() -> None:
    """Longrope changes all positions of a sequence of more than 64 tokens: the engine takes the shorter ones."""
    model, requests = random_model("phi3/longrope"), []
    for number in range(60):
        context = "abcdefgh" * (12 if number % 15 == 0 else 5) + LETTERS[number % 8] * (number // 8 + 1)
        requests += [SimpleNamespace(args=(context, text), task_name="t") for text in (" a", " b", " cde", " cdf")]
    expected = harness_model(model, max_length=LONGEST).loglikelihood(requests, disable_tqdm=True)
    harness = harness_model(model, max_length=LONGEST, engine="shared-prefix")
    check_same(harness.loglikelihood(requests, disable_tqdm=True), expected)
    assert (harness.engine_record.engine, harness.engine_record.reason) == ("shared-prefix", "")


def test_requests_that_share_nothing_are_left_to_the_harness(answer: Any) -> None:
    """Nothing is compared where nothing can be gained."""
    requests = [SimpleNamespace(args=(letter * 9, " a"), task_name="t") for letter in LETTERS]
    harness, actual, _ = answer("shared-prefix", requests)
    assert actual == answer("harness", requests)[1]
    assert (harness.engine_record.compared, harness.engine_record.reason) == (0, "the requests share too little")


def test_rolling_log_likelihoods_are_the_harness_ones(answer: Any) -> None:
    """Texts that are scored as a whole do not go to the engine."""
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


def test_an_unknown_engine_is_rejected(model: Any) -> None:
    """The argument's value is checked."""
    with pytest.raises(ValueError, match="the engine is 'fast'"):
        harness_model(model, max_length=LONGEST, engine="fast")


def test_the_command_line_knows_the_model() -> None:
    """`steward-eval` registers `steward-hf`, whose default is the engine."""
    from inspect import signature

    from lm_eval.api.registry import get_model

    from workers.evaluation.shared_prefix.__main__ import MODEL, StandaloneModel

    assert get_model(MODEL) is StandaloneModel
    assert signature(StandaloneModel.__init__).parameters["engine"].default == "shared-prefix"
