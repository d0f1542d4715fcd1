"""If the engine has wrong values, too little memory or a slow model, the harness computes, and no answer is lost."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from tests.support.models.families import random_model
from tests.support.models.shared_prefix import (
    LONGEST,
    ReportedAnswers,
    check_same,
    harness_model,
    instances,
)


@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "float16"])
def test_wrong_values_in_a_cache_are_caught(dtype: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """If the engine's cache returns wrong values, the results are the harness's, and the record has the reason."""
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
    """The engine compares a request of each kind first, and so notices an error in the only request of its kind."""
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


@pytest.mark.long("several evaluations of a model for one more fault")
@pytest.mark.parametrize(
    ("dtype", "error", "compared_every"),
    [("float32", float("nan"), 10_000), ("bfloat16", 5.0, 10), ("float32", 5.0, 10)],
)
def test_wrong_values_after_the_first_comparison_are_caught(
    model: Any, dtype: str, error: float, compared_every: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """If values go wrong while the engine works, all results are the harness's, and no answer is reported twice."""
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
    requests, reports = instances(), ReportedAnswers()
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


@pytest.mark.long("three seconds of a processor")
@pytest.mark.parametrize(("room", "kind"), [(200, "gpu"), (0, "python"), (0, "gpu"), (200, "cpu")])
def test_less_memory_gives_the_same_answers(
    answer: Any, room: int, kind: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """With memory for `room` tokens the engine takes smaller steps, without it the harness computes: equal answers."""
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


@pytest.mark.long("several evaluations of a model for one more fault")
@pytest.mark.parametrize(
    ("trees", "kind"),
    [(True, "gpu"), (False, "python"), (True, "cpu"), (False, "gpu"), (True, "python"), (False, "cpu")],
)
def test_too_little_memory_for_the_trial_is_not_blamed_on_the_model(
    answer: Any, kind: str, trees: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """If memory is short while the model is examined, the harness computes one by one, and the record says why."""
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


@pytest.mark.long("two seconds of a processor")
@pytest.mark.parametrize(("dtype", "wrong_from"), [("float32", 150), ("bfloat16", None), ("float32", None)])
def test_a_slow_model_makes_visible_progress(
    dtype: str, wrong_from: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whether the engine or the harness computes, answers are reported after at most a few steps of the model."""
    import torch

    from workers.evaluation.shared_prefix import engine_run, trust

    class Failing(engine_run.EngineWork):
        def answers(self, indexes: Any) -> Any:
            for place, (index, (value, greedy)) in enumerate(super().answers(indexes)):
                yield index, (value - (wrong_from is not None and place > wrong_from), greedy)

    monkeypatch.setattr(engine_run, "EngineWork", Failing)
    monkeypatch.setattr(trust, "COMPARED_EVERY", 10)
    model, reports, requests = random_model("llama").to(getattr(torch, dtype)), ReportedAnswers(), instances()
    harness = harness_model(model, max_length=LONGEST, engine="shared-prefix", logits_cache=False)
    harness.set_cache_hook(reports)
    harness.withdraw = reports.withdraw
    model.register_forward_pre_hook(reports.count_step)
    harness.loglikelihood(requests, disable_tqdm=True)
    assert harness.engine_record.engine == ("shared-prefix" if wrong_from is None else "harness")
    assert sorted(texts for texts, _ in reports.answers) == sorted(request.args for request in requests)
    assert reports.longest_silence < 12
