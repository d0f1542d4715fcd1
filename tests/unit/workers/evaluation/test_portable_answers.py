"""Answers that machines share by request: how they are recorded, and that they are used only if a sample agrees."""

from __future__ import annotations

import os
import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tests.support.models.families import random_model
from tests.support.models.shared_prefix import LETTERS, harness_model, instances
from tests.support.workers.evaluation_inputs import plan as make_plan
from workers.evaluation.shared_prefix import portable_answers, trust
from workers.evaluation.shared_prefix.generation import AnswerChecker, AnswersDiffer
from workers.evaluation.shared_prefix.generation_requests import GenerationGroup
from workers.evaluation.shared_prefix.journal import AnswerJournal
from workers.evaluation.shared_prefix.portable_answers import (
    SCORES,
    TEXTS,
    PortableAnswers,
    choose_sample,
    read_answer,
    request_key,
    scores_differ,
    texts_differ,
)
from workers.evaluation.shared_prefix.trust import OfferedAnswersDiffer

IDENTITY = "a" * 64
Score = tuple[float, bool]


@contextmanager
def opened(path: Path, *, is_writable: bool = True) -> Iterator[AnswerJournal]:
    """The journal in `path`."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND if is_writable else os.O_RDONLY)
    try:
        yield AnswerJournal(descriptor, IDENTITY, is_writable=is_writable)
    finally:
        os.close(descriptor)


def recording(model: Any, journal: AnswerJournal, **options: Any) -> Any:
    """A harness model whose answers are recorded in `journal`."""
    lm = harness_model(model, max_length=120, **options)
    lm.portable_answers = PortableAnswers(journal)
    lm.set_cache_hook(SimpleNamespace(add_partial=lm.portable_answers.note))
    return lm


def generations() -> list[Any]:
    """Requests for texts, with two kinds of options."""
    from lm_eval.api.instance import Instance

    source = random.Random(0)
    options = [{"until": ["b"], "max_gen_toks": 6}, {"until": [], "max_gen_toks": 4, "do_sample": False}]
    prompts = ["".join(source.choices(LETTERS, k=source.randrange(3, 30))) for _ in range(24)]
    return [Instance("generate_until", {}, (text, options[at % 2]), at) for at, text in enumerate(prompts)]


@pytest.mark.parametrize("engine", ["shared-prefix", "harness"])
def test_each_answer_is_recorded_under_its_request(model: Any, tmp_path: Path, engine: str) -> None:
    """Each answer is found by the texts and options of its request, for either engine."""
    asked, to_write = instances(30), generations()
    with opened(tmp_path / "0") as journal:
        lm = recording(model, journal, engine=engine)
        scores, texts = lm.loglikelihood(asked, disable_tqdm=True), lm.generate_until(to_write, disable_tqdm=True)
        recorded = [read_answer(SCORES, journal.get(request_key(SCORES, request.args) or b"")) for request in asked]
        assert scores_differ(dict(enumerate(recorded)), dict(enumerate(scores)), None) == ""
        assert [journal.get(request_key(TEXTS, request.args) or b"") for request in to_write] == texts


def test_answers_that_the_engine_withdraws_do_not_stay(
    model: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """If the engine is found to be wrong after some answers, the recorded answers are those of the harness."""
    disagreement = trust.Comparison.disagreement
    monkeypatch.setattr(trust, "COMPARED_EVERY", 90)
    monkeypatch.setattr(
        trust.Comparison, "disagreement",
        lambda self, answers: disagreement(self, answers) if len(answers) > 1 else "a trial",
    )  # fmt: skip
    asked = instances(40)
    with opened(tmp_path / "0") as journal:
        scores = recording(model, journal, engine="shared-prefix").loglikelihood(asked, disable_tqdm=True)
        recorded = [read_answer(SCORES, journal.get(request_key(SCORES, request.args) or b"")) for request in asked]
        assert recorded == scores


def test_texts_that_the_engine_withdraws_do_not_stay(
    model: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """If the engine is found to generate wrong texts, the recorded texts are those of the harness."""
    monkeypatch.setattr(GenerationGroup, "_text", lambda *_: "wrong")
    calls = [0]

    def check(self: Any) -> None:
        calls[0] += 1
        if calls[0] > 1:
            raise AnswersDiffer("a trial")

    monkeypatch.setattr(AnswerChecker, "check", check)
    asked = generations()
    with opened(tmp_path / "0") as journal:
        texts = recording(model, journal, engine="shared-prefix").generate_until(asked, disable_tqdm=True)
        assert [journal.get(request_key(TEXTS, request.args) or b"") for request in asked] == texts
    assert "wrong" not in texts and calls[0] > 1


@pytest.mark.long("a second of a processor")
def test_half_precision_of_two_batch_sizes_agrees() -> None:
    """Answers of one model in bfloat16 with two batch sizes differ, but within the limits for two machines."""
    import torch

    half = random_model("llama").to(torch.bfloat16)
    asked = instances(60)
    several, single = (
        harness_model(half, max_length=120, batch_size=size).loglikelihood(asked, disable_tqdm=True) for size in (8, 1)
    )
    assert several != single
    lm = harness_model(half, max_length=120)
    assert portable_answers.epsilon_of(lm) == EPSILON
    assert scores_differ(dict(enumerate(several)), dict(enumerate(single)), EPSILON) == ""


def test_texts_that_are_drawn_at_random_have_no_key() -> None:
    """Requests for random sampling have no key, as no machine repeats their texts; other requests have unique keys."""
    assert request_key(TEXTS, ("a", {"do_sample": True})) is None
    assert request_key(TEXTS, ("a", {"temperature": 0.7})) is None
    keys = [
        request_key(kind, request)
        for kind, request in [
            (TEXTS, ("a", {})), (TEXTS, ("a", {"until": ["b"]})), (TEXTS, ("b", {})), (SCORES, ("a", "b")),
            (SCORES, ("ab", "")), (SCORES, ("", "ab")),
        ]
    ]  # fmt: skip
    assert None not in keys and len(set(keys)) == len(keys)


# --- answers of another machine


class Machine:
    """Computes the log-likelihood -n for request n, and records which answers were computed and reported."""

    def __init__(self, error: float = 0.0) -> None:
        self.error = error
        self.computed: list[int] = []
        self.reported: list[int] = []

    def compute(self, indexes: list[int]) -> list[Score]:
        """The answers to these requests."""
        self.computed += indexes
        return [(-float(index) - self.error, False) for index in indexes]

    def complete(self, answers: PortableAnswers, count: int = 400) -> list[Score]:
        """The answers to all requests."""
        return answers.complete(
            SCORES,
            [(str(index), "x") for index in range(count)],
            [f"task {index % 3}" for index in range(count)],
            compute=self.compute,
            differ=lambda offered, computed: scores_differ(offered, computed, None),
            report=lambda index, _: self.reported.append(index),
        )


def leave(path: Path, numbers: Sequence[int], error: Callable[[int], float] = lambda _: 0.0) -> None:
    """Write a journal with the answers to these requests, each with its error added."""
    with opened(path) as journal:
        for number in numbers:
            key = request_key(SCORES, (str(number), "x"))
            assert key is not None
            journal.add(key, (-float(number) + error(number), False))


def test_only_the_rest_and_a_sample_is_computed(tmp_path: Path) -> None:
    """The missing answers and a sample of sixteen of each offered journal are computed, none of them twice."""
    leave(tmp_path / "a", range(200), lambda _: 1e-5)
    leave(tmp_path / "b", range(100, 300), lambda _: 1e-5)
    with opened(tmp_path / "a", is_writable=False) as a, opened(tmp_path / "b", is_writable=False) as b:
        machine, answers = Machine(), PortableAnswers(offered=[a, b])
        scores = machine.complete(answers)
    assert [round(-score) for score, _ in scores] == list(range(400))
    assert len(machine.computed) == len(set(machine.computed)) == 100 + 2 * 16
    assert answers.used == len(machine.reported) == 300 - 2 * 16
    assert set(machine.computed).isdisjoint(machine.reported)


@pytest.mark.parametrize(
    ("error", "is_found_out"),
    [(lambda _: 0.25, True), (lambda number: 0.01 * (number % 2), True), (lambda _: 5e-5, False)],
    ids=["all", "every second", "within the tolerance"],
)
def test_forged_answers_are_found_out(tmp_path: Path, error: Callable[[int], float], is_found_out: bool) -> None:
    """If the sample differs from the computed answers, an error is raised before any offered answer is reported."""
    leave(tmp_path / "a", range(300), error)
    machine = Machine()
    with opened(tmp_path / "a", is_writable=False) as journal:
        if not is_found_out:
            assert len(machine.complete(PortableAnswers(offered=[journal]))) == 400
            return
        with pytest.raises(OfferedAnswersDiffer, match="a log-likelihood is"):
            machine.complete(PortableAnswers(offered=[journal]))
    assert machine.reported == []


def test_a_few_answers_are_not_worth_a_sample(tmp_path: Path) -> None:
    """If the offered answers are no more than a sample, all answers are computed at once."""
    leave(tmp_path / "a", range(16))
    with opened(tmp_path / "a", is_writable=False) as journal:
        machine = Machine()
        machine.complete(PortableAnswers(offered=[journal]))
    assert machine.computed == list(range(400))


@pytest.mark.parametrize(
    "damage",
    [lambda data: data[:-7], lambda data: data[:200] + b"!" + data[201:], lambda data: data[:84] + data[160:],
     lambda data: data + b"\xff" * 40, lambda _: b"noise", lambda _: b"",
     lambda data: data.replace(b"a" * 64, b"b" * 64)],
    ids=["torn", "changed", "reordered", "an oversized record", "noise", "empty", "of another evaluation"],
)  # fmt: skip
def test_a_damaged_journal_costs_time_only(tmp_path: Path, damage: Callable[[bytes], bytes]) -> None:
    """With a damaged journal of another machine all answers are right, and its file is not changed."""
    leave(tmp_path / "a", range(300))
    data = damage((tmp_path / "a").read_bytes())
    (tmp_path / "a").write_bytes(data)
    with opened(tmp_path / "a", is_writable=False) as journal:
        scores = Machine().complete(PortableAnswers(offered=[journal]))
    assert scores == Machine().compute(list(range(400)))
    assert (tmp_path / "a").read_bytes() == data


def test_own_answers_are_recorded_and_others_are_not(tmp_path: Path) -> None:
    """A worker records answers that it computed itself, once each, except for rolling windows and random texts."""
    leave(tmp_path / "a", range(10))
    with opened(tmp_path / "a", is_writable=False) as other, opened(tmp_path / "own") as own:
        answers = PortableAnswers(own, [other])
        for number in (5, 11, 11, 12):
            answers.note(SCORES, (str(number), "x"), (-1.0, True))
        answers.note("loglikelihood_rolling", ("text",), -3.0)
        answers.note(TEXTS, ("a", {"do_sample": True}), "text")
        answers.note(TEXTS, ("a", {}), "text")
        assert own.units == 3


@pytest.mark.parametrize("value", [None, [], [1, True], [0.5, 1], [float("nan"), True], {"a": 1}, 7, [[0.5, True]]])
def test_values_of_other_kinds_are_no_answers(value: Any) -> None:
    """Values that are not valid log-likelihoods or texts are read as missing answers."""
    assert read_answer(SCORES, value) is None
    assert read_answer(TEXTS, value) is None


def test_the_sample_has_some_of_each_journal_and_task() -> None:
    """A random sample has at least sixteen answers of each journal, one in a hundred, and one of each task."""
    tasks = ["large"] * 5_000 + [f"small {number}" for number in range(40)]
    sources = dict.fromkeys(range(len(tasks)), 0)
    sample = choose_sample(sources, tasks)
    assert len(sample) == 51 and len({tasks[index] for index in sample}) == 41
    assert len(choose_sample({index: index % 2 for index in range(1_000)}, tasks)) == 32
    assert choose_sample(sources, tasks) != sample
    assert choose_sample({}, tasks) == []


EPSILON = 2.0**-7  # bfloat16: the unit is EPSILON * 16 = 0.125
SPREAD = [(-3.0 - 0.01 * (number % 7 - 3), False) for number in range(100)]


def changed(changes: Mapping[int, Score]) -> list[Score]:
    """A hundred answers of another machine, with these changes."""
    return [changes.get(number, score) for number, score in enumerate([(-3.0, False)] * 100)]


@pytest.mark.parametrize(
    ("offered", "words"),
    [
        (SPREAD, ""),
        ([(score - 0.2, greedy) for score, greedy in SPREAD], "on average"),
        (changed(dict.fromkeys(range(6), (-3.6, False))), "differ by 0.6000"),
        (changed({0: (-3.6, False), 1: (-2.4, False)}), ""),
        (changed({0: (-6.5, False)}), "a log-likelihood differs by 3.5000"),
        (changed(dict.fromkeys(range(5), (-3.0, True))), ""),
        (changed(dict.fromkeys(range(6), (-3.0, True))), "6 of 100 answers are the most likely ones"),
    ],
)
def test_half_precision_has_limits_of_its_own(offered: list[Score], words: str) -> None:
    """Spread, mean, the largest difference and the number of greedy answers are limited."""
    problem = scores_differ(dict(enumerate(offered)), dict(enumerate([(-3.0, False)] * 100)), EPSILON)
    assert words in problem and bool(words) == bool(problem)


def test_texts_may_differ_only_at_nearly_equal_tokens(model: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A text agrees if it is equal, or if each token is nearly the most likely; cut or invented texts do not."""
    lm = harness_model(model, max_length=120)
    (text,) = lm.generate_until(generations()[1:2], disable_tqdm=True)
    context = generations()[1].args[0]
    prompt = lm.tok_batch_encode([context])[0][0].tolist()
    other = "ab" if not text.startswith("a") else "ba"

    def differ(offered: str) -> str:
        return texts_differ(lm, [context], [prompt], [offered], [text])

    assert differ(text) == ""
    assert "a text is not the model's" in differ(other)
    assert "a text is not the model's" in differ(text[:-1] + ("a" if text[-1] != "a" else "b"))
    assert differ(text[:-1]) == differ("") == "a text ends elsewhere"
    monkeypatch.setattr(portable_answers, "TOLERANCES", {"float32": 100.0})
    assert differ(other) == ""
    lm.think_end_token = "x"
    assert differ(other) == "a text is another one"


def test_each_copy_of_the_model_has_its_own_answers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each copy of the model records answers in its own file, and all copies read those of other machines."""
    from workers.evaluation import harness_model as harness_model_module

    leave(tmp_path / "4", range(3))
    for place in range(5):  # two journals, two files of answers, and one of another machine
        flags = os.O_RDONLY if place == 4 else os.O_RDWR | os.O_CREAT | os.O_APPEND
        descriptor = os.open(tmp_path / str(place), flags)
        os.dup2(descriptor, 300 + place)
        os.close(descriptor)
    monkeypatch.setattr(harness_model_module, "JOURNAL", 300)
    plan = make_plan(tmp_path).model_copy(
        update={"copies": 2, "answers": IDENTITY, "answers_bytes": 1 << 20, "offered": 1}
    )
    try:
        for rank in range(2):
            answers = harness_model_module.open_portable_answers(plan, rank)
            answers.note(SCORES, (f"copy {rank}", "x"), (-1.0, True))
            assert [journal.units for journal in answers.offered] == [3] and answers.own.units == 1
    finally:
        os.closerange(300, 305)
    sizes = [(tmp_path / str(place)).stat().st_size for place in range(4)]
    assert sizes[:2] == [0, 0] and sizes[2] == sizes[3] > 0
