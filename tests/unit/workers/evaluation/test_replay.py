"""A killed evaluation continues from its journal, with the same answers, digit for digit, and little computed twice.

`make long` kills at each tenth of the work.
"""

from __future__ import annotations

import os
import random
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tests.support.long import long_except
from tests.support.models.shared_prefix import LETTERS, harness_model, instances
from workers.evaluation.shared_prefix.journal import AnswerJournal

LONGEST = 120
Ask = Callable[[Any], list[Any]]


class Killed(BaseException):
    """The child is killed inside a forward pass."""


class Evaluation:
    """One attempt at the same requests, with a journal in `path`, which is killed in forward pass `killed_at`."""

    def __init__(self, model: Any, path: Path, ask: Ask, *, killed_at: int | None = None, **options: Any) -> None:
        self.passes = self.tokens = self.reported = 0
        self.answers: list[Any] = []
        self.lm = harness_model(model, max_length=LONGEST, **options)
        self.lm.set_cache_hook(SimpleNamespace(add_partial=self._report))
        self.lm.withdraw = self._withdraw
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND)
        hook = model.register_forward_pre_hook(lambda *arguments: self._count(killed_at, *arguments), with_kwargs=True)
        try:
            self.lm.journal = AnswerJournal(descriptor, "a" * 64)
            self.answers = ask(self.lm)
        except Killed:
            pass
        finally:
            hook.remove()
            os.close(descriptor)

    def _report(self, *_: Any) -> None:
        self.reported += 1

    def _withdraw(self, count: int) -> None:
        self.reported -= count

    def _count(self, killed_at: int | None, _: Any, arguments: Any, options: Any) -> None:
        if self.passes == killed_at:
            raise Killed
        self.passes += 1
        tokens = arguments[0] if arguments else options["input_ids"]
        self.tokens += tokens.numel()


def log_likelihoods(lm: Any) -> list[Any]:
    """Log-likelihoods of two tasks."""
    answers: list[Any] = lm.loglikelihood(instances(90), disable_tqdm=True)
    return answers


def windows(lm: Any) -> list[Any]:
    """Log-likelihoods of whole texts, each computed in several windows."""
    source = random.Random(0)
    texts = ["".join(source.choices(LETTERS, k=source.randrange(20, 400))) for _ in range(40)]
    requests = [SimpleNamespace(args=(text,), task_name="texts") for text in texts]
    answers: list[Any] = lm.loglikelihood_rolling(requests, disable_tqdm=True)
    return answers


def texts(lm: Any) -> list[str]:
    """Texts for requests with two kinds of options."""
    from lm_eval.api.instance import Instance

    source = random.Random(0)
    options = [{"until": ["b"], "max_gen_toks": 6}, {"until": [], "max_gen_toks": 4}]
    prompts = ["".join(source.choices(LETTERS, k=source.randrange(3, 30))) for _ in range(60)]
    requests = [Instance("generate_until", {}, (text, options[at % 2]), at) for at, text in enumerate(prompts)]
    generated: list[str] = lm.generate_until(requests, disable_tqdm=True)
    return generated


WAYS: dict[str, tuple[Ask, dict[str, Any]]] = {
    "by shared prefix": (log_likelihoods, {"engine": "shared-prefix"}),
    "the harness's way": (log_likelihoods, {}),
    "one row for each": (log_likelihoods, {"logits_cache": False}),
    "windows": (windows, {}),
    "texts the harness's way": (texts, {}),
}
SOME = {"by shared prefix", "texts the harness's way"}
"""What `make test` tries: a task with choices and one with texts."""


@pytest.mark.parametrize("way", long_except(SOME, WAYS, "another way to ask"))
def test_an_attempt_that_is_killed_is_continued_digit_for_digit(model: Any, tmp_path: Path, way: str) -> None:
    """An attempt that is killed and continued has equal answers, reports each once, and computes few twice."""
    ask, options = WAYS[way]
    whole = Evaluation(model, tmp_path / "whole", ask, **options)
    assert whole.answers == ask(harness_model(model, max_length=LONGEST, **options))
    assert whole.reported == len(whole.answers)
    for tenth in (3, 7):
        path = tmp_path / str(tenth)
        dead = Evaluation(model, path, ask, killed_at=whole.passes * tenth // 10, **options)
        last = Evaluation(model, path, ask, **options)
        assert not dead.answers and last.answers == whole.answers
        assert last.reported == len(whole.answers)
        assert last.lm.engine_record == whole.lm.engine_record
        # of so few requests, a trial, a sample, one path of the tree and one batch are a large part
        assert dead.tokens + last.tokens < 1.2 * whole.tokens
        assert last.lm.journal.replayed or tenth == 1  # few requests: the model is still examined


def test_texts_of_the_engine_are_continued(model: Any, tmp_path: Path) -> None:
    """Texts of continuous batching in the journal are not generated again, and some of them are compared."""
    options: dict[str, Any] = {"engine": "shared-prefix"}
    whole = Evaluation(model, tmp_path / "whole", texts, **options)
    assert whole.lm.engine_record.generation.answers == len(whole.answers)
    content = (tmp_path / "whole").read_bytes()
    (tmp_path / "0").write_bytes(content[: len(content) * 2 // 3])
    last = Evaluation(model, tmp_path / "0", texts, **options)
    assert last.answers == whole.answers and last.reported == len(whole.answers)
    assert len(whole.answers) // 2 < last.lm.journal.replayed < len(whole.answers)
    assert last.lm.engine_record.generation.answers == len(whole.answers)
    assert last.lm.engine_record.generation.compared >= whole.lm.engine_record.generation.compared
    assert last.tokens < whole.tokens * 2 / 3


def test_a_finished_journal_costs_a_sample(model: Any, tmp_path: Path) -> None:
    """If an attempt is killed after its last answer, the next one computes only a sample again."""
    for name in ("by shared prefix", "the harness's way"):
        ask, options = WAYS[name]
        first = Evaluation(model, tmp_path / name, ask, **options)
        second = Evaluation(model, tmp_path / name, ask, **options)
        assert second.answers == first.answers and second.tokens < first.tokens / 8
        assert second.lm.engine_record == first.lm.engine_record


@pytest.mark.parametrize("way", long_except(SOME, WAYS, "another way to ask"))
def test_a_forged_journal_costs_time_and_no_score(
    model: Any, tmp_path: Path, way: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The sample reveals a journal with valid checksums and forged answers, and none of its answers is used."""
    ask, options = WAYS[way]
    whole = Evaluation(model, tmp_path / "whole", ask, **options)
    add = AnswerJournal.add

    def forge(value: Any) -> Any:
        if isinstance(value, float):
            return value + 0.25
        if isinstance(value, list | tuple):
            return [forge(item) for item in value]
        return f"{value} indeed" if isinstance(value, str) and "float" not in value else value

    with monkeypatch.context() as patch:
        patch.setattr(AnswerJournal, "add", lambda self, key, value: add(self, key, forge(value)))
        Evaluation(model, tmp_path / "0", ask, **options)
    last = Evaluation(model, tmp_path / "0", ask, **options)
    assert last.answers == whole.answers and last.reported == len(whole.answers)
    assert "the journal of an earlier attempt is not used" in caplog.text
    again = Evaluation(model, tmp_path / "0", ask, **options)
    assert again.answers == whole.answers and again.tokens < whole.tokens / 4  # its own answers replaced those


def test_forged_texts_of_the_engine_are_found_out(
    model: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A forward pass reveals forged tokens in the journal; the engine then generates the texts."""
    whole = Evaluation(model, tmp_path / "whole", texts, engine="shared-prefix")
    add = AnswerJournal.add
    with monkeypatch.context() as patch:
        patch.setattr(AnswerJournal, "add", lambda self, key, value: add(self, key, [7] * len(value)))
        Evaluation(model, tmp_path / "0", texts, engine="shared-prefix")
    last = Evaluation(model, tmp_path / "0", texts, engine="shared-prefix")
    assert last.answers == whole.answers and last.reported == len(whole.answers)
    assert last.lm.engine_record == whole.lm.engine_record
    assert "a text is not the model's" in caplog.text


def test_too_little_memory_is_remembered(model: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """After an attempt that ran out of memory, the next one continues from its journal and has equal answers."""
    import torch

    from workers.evaluation.shared_prefix.engine import PrefixEngine

    compute = PrefixEngine._compute
    failures = [0]

    def limited(self: Any, step: Any, parent: Any) -> Any:
        if step.tokens > 300 and failures[0] < 2:
            failures[0] += 1
            raise torch.OutOfMemoryError("no room")
        return compute(self, step, parent)

    monkeypatch.setattr(PrefixEngine, "_compute", limited)
    options: dict[str, Any] = {"engine": "shared-prefix", "batch_size": 8}
    whole = Evaluation(model, tmp_path / "whole", log_likelihoods, **options)
    assert failures == [2]
    content = (tmp_path / "whole").read_bytes()
    (tmp_path / "0").write_bytes(content[: len(content) * 3 // 4])
    last = Evaluation(model, tmp_path / "0", log_likelihoods, **options)
    assert last.answers == whole.answers and last.tokens < whole.tokens / 2


def test_answers_drawn_at_random_are_drawn_again(model: Any, tmp_path: Path) -> None:
    """Texts of random sampling are not stored in the journal: a later attempt draws the same ones from the seed."""
    import torch
    from lm_eval.api.instance import Instance

    options = {"until": [], "max_gen_toks": 6, "do_sample": True, "temperature": 0.9}

    def ask(lm: Any) -> list[str]:
        torch.manual_seed(7)
        requests = [Instance("generate_until", {}, (letter * 9, options), at) for at, letter in enumerate(LETTERS)]
        generated: list[str] = lm.generate_until(requests, disable_tqdm=True)
        return generated

    first, second = (Evaluation(model, tmp_path / "0", ask) for _ in range(2))
    assert first.answers == second.answers and not second.lm.journal.replayed
    assert second.lm.journal.units == 0


@pytest.mark.parametrize("by_context", [True, False])
def test_batches_are_the_harness_ones(model: Any, by_context: bool) -> None:
    """With a journal the model gets the same batches of rows as without it."""
    requests = instances(30)

    def rows(journal: bool, path: str = os.devnull) -> list[Any]:
        lm = harness_model(model, max_length=LONGEST, logits_cache=by_context)
        inputs: list[Any] = []
        hook = model.register_forward_pre_hook(lambda _, arguments: inputs.append(arguments[0].tolist()))
        if journal:
            lm.journal = SimpleNamespace(
                is_open=True, units=0, get=lambda _: None, add=lambda *_: None, choose_sample=lambda _: []
            )
        lm.loglikelihood(requests, disable_tqdm=True)
        hook.remove()
        return inputs

    assert rows(True) == rows(False)
