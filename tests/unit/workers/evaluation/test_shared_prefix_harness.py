"""The harness's model with the engine: the same answers, and the harness's way where the engine is not to be used.

`make engine` runs all cases, `make test` some.
"""

from __future__ import annotations

from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest

from tests.support.models.families import random_model
from tests.support.models.shared_prefix import LETTERS, harness_model, instances
from tests.support.sizes import first
from tests.support.units.details_samples import sample
from workers.jobs.sample_comparison import EngineTolerance, compare_task
from workers.publication.details import sample_row

LONGEST = 120


class Reports:
    """A cache hook of the harness that counts its calls."""

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
        """Count the model's steps between two reports."""
        self.silent_steps += 1
        self.longest_silence = max(self.longest_silence, self.silent_steps)


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
        harness.withdraw = reports.withdraw
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


def test_requests_that_split_one_sequence_differently_are_the_harness_ones(answer: Any) -> None:
    """The harness gives them, from its cache of logits, other numbers than the model's: these are lm-eval's scores."""
    requests, context = instances(), "abcdefgh" * 3
    pairs = [(context + "ab", "cde"), (context + "abc", "de"), (context + "abcd", "e"), (context + "abcd", "f")]
    requests += [SimpleNamespace(args=pair, task_name="birds") for pair in pairs]
    _, expected, _ = answer("harness", requests)
    _, right, _ = answer("harness", requests, logits_cache=False)
    harness, actual, reports = answer("shared-prefix", requests)
    check_same(actual, expected)
    assert abs(right[-2][0] - expected[-2][0]) > 0.01
    assert harness.engine_record.engine == "shared-prefix" and len(reports) == len(requests)


@pytest.mark.parametrize("dtype", first(2, ["float32", "bfloat16", "float16"]))
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
    from workers.evaluation.shared_prefix import engine_run, trust

    model, requests = random_model("mistral"), instances(30)[2:]
    requests.append(SimpleNamespace(args=(context, text), task_name=task))

    class Failing(engine_run.EngineWork):
        def answers(self, indexes: Any) -> Any:
            for index, (value, greedy) in super().answers(indexes):
                yield index, (value - 0.01 * (index == len(requests) - 1), greedy)

    monkeypatch.setattr(engine_run, "EngineWork", Failing)
    monkeypatch.setattr(trust, "COMPARED", 4)
    expected = harness_model(model, max_length=LONGEST).loglikelihood(requests, disable_tqdm=True)
    harness = harness_model(model, max_length=LONGEST, engine="shared-prefix")
    assert harness.loglikelihood(requests, disable_tqdm=True) == expected
    assert harness.engine_record.reason.startswith("a log-likelihood is")
    assert harness.engine_record.compared < 10  # of 31


@pytest.mark.parametrize(
    ("dtype", "error", "compared_every"),
    first(2, [("float32", float("nan"), 10_000), ("bfloat16", 5.0, 10), ("float32", 5.0, 10)]),
)
def test_wrong_values_after_the_first_comparison_are_caught(
    model: Any, dtype: str, error: float, compared_every: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Values go wrong while the engine works: all results are the harness's, and no answer is reported twice."""
    import torch

    from workers.evaluation.shared_prefix import engine_run, trust

    sample = set[int]()

    class Failing(engine_run.EngineWork):
        def answers(self, indexes: Any) -> Any:
            answers = super().answers(indexes)
            if len(indexes) <= trust.COMPARED:
                sample.update(indexes)
                return answers
            return (
                (index, (value - error if place > 70 and index not in sample else value, greedy))
                for place, (index, (value, greedy)) in enumerate(answers)
            )

    monkeypatch.setattr(engine_run, "EngineWork", Failing)
    monkeypatch.setattr(trust, "COMPARED_EVERY", compared_every)
    requests, reports = instances(), Reports()
    model = model if dtype == "float32" else random_model("llama").to(torch.bfloat16)
    expected = harness_model(model, max_length=LONGEST).loglikelihood(requests, disable_tqdm=True)
    harness = harness_model(model, max_length=LONGEST, engine="shared-prefix")
    harness.set_cache_hook(reports)
    harness.withdraw = reports.withdraw
    assert harness.loglikelihood(requests, disable_tqdm=True) == expected
    assert sorted(texts for texts, _ in reports.answers) == sorted(request.args for request in requests)
    assert harness.engine_record.engine == "harness"
    assert "log-likelihood" in harness.engine_record.reason


def no_memory(kind: str) -> None:
    """Raise the error of a GPU, of Python, or of torch on a CPU without memory."""
    import torch

    if kind == "gpu":
        raise torch.OutOfMemoryError
    if kind == "python":
        raise MemoryError
    torch.empty(1 << 62, dtype=torch.uint8)


@pytest.mark.parametrize(("room", "kind"), first(2, [(200, "gpu"), (0, "python"), (0, "gpu"), (200, "cpu")]))
def test_less_memory_gives_the_same_answers(
    answer: Any, room: int, kind: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """With memory for `room` tokens of a batch: smaller steps, and with no room at all one by one."""
    from workers.evaluation.shared_prefix import engine_run
    from workers.evaluation.shared_prefix.admission import examine
    from workers.evaluation.shared_prefix.engine import PrefixEngine

    compute = PrefixEngine._compute

    def limited(self: Any, step: Any, parent: Any) -> Any:
        if step.tokens > room:
            no_memory(kind)
        return compute(self, step, parent)

    requests = instances()
    _, expected, _ = answer("harness", requests, logits_cache=False)

    def examined(*arguments: Any) -> Any:
        admission = examine(*arguments)
        monkeypatch.setattr(PrefixEngine, "_compute", limited)
        return admission

    monkeypatch.setattr(engine_run, "examine", examined)
    monkeypatch.setattr("workers.evaluation.shared_prefix.admission._agree", lambda *_: True)
    harness, actual, reports = answer("shared-prefix", requests)
    check_same(actual, expected)
    assert len(reports) == len(requests)
    assert harness.batch_size == 4
    budgets = [record.args for record in caplog.records if record.msg.startswith("out of memory")]
    reason = harness.engine_record.reason
    assert reason == ("" if room else "out of memory: 242 of 242 log-likelihoods are computed the harness's way")
    assert budgets == ([(240,)] if room else [(240,), (120,), (60,)])


@pytest.mark.parametrize(
    ("trees", "kind"),
    first(3, [(True, "gpu"), (False, "python"), (True, "cpu"), (False, "gpu"), (True, "python"), (False, "cpu")]),
)
def test_too_little_memory_for_the_trial_says_nothing_of_the_model(
    answer: Any, kind: str, trees: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without memory while the model is examined, the harness computes one by one, and the reason says why."""
    from lm_eval.models.huggingface import HFLM

    from workers.evaluation.shared_prefix.engine import PrefixEngine

    compute, harness_way, sizes = PrefixEngine._compute, HFLM._loglikelihood_tokens, list[int]()

    def limited(self: Any, step: Any, parent: Any) -> Any:
        if not trees or any(len(row.segments) > 1 for row in step.rows):
            no_memory(kind)
        return compute(self, step, parent)

    requests = instances(20)
    _, expected, _ = answer("harness", requests, logits_cache=False)
    monkeypatch.setattr(PrefixEngine, "_compute", limited)

    def noted(self: Any, *arguments: Any, **options: Any) -> Any:
        sizes.append(self.batch_size)
        return harness_way(self, *arguments, **options)

    monkeypatch.setattr(HFLM, "_loglikelihood_tokens", noted)
    harness, actual, reports = answer("shared-prefix", requests)
    check_same(actual, expected)
    assert harness.engine_record.reason == "out of memory while the model was examined"
    assert (sizes, len(reports)) == ([1], len(requests))


@pytest.mark.parametrize(("dtype", "wrong_from"), first(2, [("float32", 150), ("bfloat16", None), ("float32", None)]))
def test_a_slow_model_makes_visible_progress(
    dtype: str, wrong_from: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In each way in which requests are computed, few steps of the model follow each other without a report."""
    import torch

    from workers.evaluation.shared_prefix import engine_run, trust

    class Failing(engine_run.EngineWork):
        def answers(self, indexes: Any) -> Any:
            for place, (index, (value, greedy)) in enumerate(super().answers(indexes)):
                yield index, (value - (wrong_from is not None and place > wrong_from), greedy)

    monkeypatch.setattr(engine_run, "EngineWork", Failing)
    monkeypatch.setattr(trust, "COMPARED_EVERY", 10)
    model, reports, requests = random_model("llama").to(getattr(torch, dtype)), Reports(), instances()
    harness = harness_model(model, max_length=LONGEST, engine="shared-prefix", logits_cache=False)
    harness.set_cache_hook(reports)
    harness.withdraw = reports.withdraw
    model.register_forward_pre_hook(reports.count_step)
    harness.loglikelihood(requests, disable_tqdm=True)
    assert harness.engine_record.engine == ("shared-prefix" if wrong_from is None else "harness")
    assert sorted(texts for texts, _ in reports.answers) == sorted(request.args for request in requests)
    assert reports.longest_silence < 12


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


@pytest.mark.parametrize(("kind", "window", "limit"), [("llama", 40, 40), ("llama", None, None), ("mistral", 40, None)])
def test_sequences_beyond_a_window_of_the_cache_alone_are_the_harness_ones(
    kind: str, window: int | None, limit: int | None
) -> None:
    """A Llama with a window in its config has a cache with that window, and attention without one."""
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
    """With batch size 1, too, the harness's own differences are those between two batch sizes."""
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
    """Nothing is compared where nothing can be gained."""
    requests = [SimpleNamespace(args=(letter * 9, " a"), task_name="t") for letter in LETTERS]
    harness, actual, _ = answer("shared-prefix", requests)
    assert actual == answer("harness", requests)[1]
    assert (harness.engine_record.compared, harness.engine_record.reason) == (0, "the requests share too little")


def test_copies_that_choose_their_batch_size_together_use_the_harness(model: Any) -> None:
    """With `auto` each copy waits for the others, also one that leaves the engine."""
    harness = harness_model(model, max_length=LONGEST, engine="shared-prefix", batch_size="auto")
    harness._world_size = 2
    harness.all_gather = lambda tensor: tensor.expand(2)
    harness._detect_batch_size = lambda *_: 4
    harness.loglikelihood(instances(20), disable_tqdm=True)
    assert harness.engine_record.reason == "copies choose their batch size together"


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


@pytest.mark.parametrize(
    ("dtype", "wrong"), first(2, [("float16", False), ("bfloat16", True), ("bfloat16", False), ("float16", True)])
)
def test_one_engine_verifies_half_precision_of_the_other(
    dtype: str, wrong: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As `steward verify --engine` compares: a real model's samples agree, and those of a wrong cache do not."""
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
    """The argument's value is checked."""
    with pytest.raises(ValueError, match="the engine is 'fast'"):
        harness_model(model, max_length=LONGEST, engine="fast")


def test_the_command_line_knows_the_model() -> None:
    """The module of `steward-eval` registers `steward-hf`, whose default is the engine."""
    from inspect import signature

    from lm_eval.api.registry import get_model

    from workers.evaluation.shared_prefix.standalone import MODEL, StandaloneModel

    assert get_model(MODEL) is StandaloneModel
    assert signature(StandaloneModel.__init__).parameters["engine"].default == "shared-prefix"
