"""Which requests both the engine and the harness compute, and when the engine's answers are rejected."""

from __future__ import annotations

from collections import Counter

import pytest

from workers.evaluation.shared_prefix.tree import AnswerRequest, ScoredAnswer
from workers.evaluation.shared_prefix.trust import (
    COMPARED,
    Comparison,
    EngineRecord,
    GenerationRecord,
    add_up,
    choose_sample,
)

BFLOAT16 = 0.0078125


def test_every_kind_of_request_is_compared() -> None:
    """The sample has all requests of a rare kind and some of a frequent kind, `COMPARED` together."""
    requests = [AnswerRequest([*range(7), number], range(1 + (number < 3))) for number in range(1000)]
    kinds = ["rare" if number % 100 == 5 else "frequent" for number in range(1000)]
    chosen = choose_sample(requests, kinds)
    assert chosen == sorted(set(chosen))
    assert len(chosen) == COMPARED
    assert {0, 1, 2} <= set(chosen)
    assert Counter(kinds[index] for index in chosen)["rare"] == 10
    assert chosen == choose_sample(requests, kinds)


def test_few_requests_are_all_compared() -> None:
    """If there are fewer requests than the size of the sample, all are compared."""
    assert choose_sample([AnswerRequest(range(8), range(1))] * 3, ["one"] * 3) == [0, 1, 2]


def test_each_kind_is_compared_if_there_are_more_kinds_than_samples() -> None:
    """With a hundred kinds, more than the size of the sample, one request of each kind is compared."""
    requests = [AnswerRequest([number], range(1)) for number in range(300)]
    chosen = choose_sample(requests, [number // 3 for number in range(300)])
    assert sorted(index // 3 for index in chosen) == list(range(100))


def test_answers_that_the_harness_computes_at_once_are_compared_together() -> None:
    """Answers to one question, which the harness computes together, are all compared or none of them."""
    chosen = choose_sample([AnswerRequest([number // 10], [number % 10]) for number in range(1000)], ["one"] * 1000)
    assert len(chosen) == 70
    assert {len([index for index in chosen if index // 10 == question]) for question in range(100)} == {0, 10}


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        ((-10.00009, True), ""),
        ((-10.0002, True), "a log-likelihood is -10.000200 instead of -10.000000"),
        ((float("nan"), True), "a log-likelihood is nan instead of -10.000000"),
        ((-10.0, False), "an answer is the most likely one in one of the two ways only"),
    ],
)
def test_float32_answers_agree_each(answer: ScoredAnswer, reason: str) -> None:
    """In float32 an answer agrees if log-likelihoods differ by at most 0.0001 and the greedy flags are equal."""
    comparison = Comparison({0: (-10.0, True)})
    assert comparison.disagreement({0: answer, 9: (0.0, False)}) == reason


def test_a_long_answer_may_differ_in_proportion() -> None:
    """The tolerance grows with the size of a log-likelihood, because -500 has no four exact decimals in float32."""
    comparison = Comparison({0: (-500.0, False)})
    assert not comparison.disagreement({0: (-500.0004, False)})
    assert comparison.largest_difference == pytest.approx(0.0004)
    assert comparison.disagreement({0: (-500.001, False)})


@pytest.mark.parametrize(
    ("differences", "rejected"),
    [
        ([0.2, -0.2] * 10, ""),
        ([0.8, -0.8] * 10, "log-likelihoods differ by 0.8000, and by 0.2000 between two batch sizes"),
        ([0.4] * 20, "log-likelihoods differ by 0.4000 on average"),
        ([float("nan")] * 20, "log-likelihoods differ by nan, and by 0.2000 between two batch sizes"),
    ],
)
def test_half_precision_is_measured_by_the_harness_itself(differences: list[float], rejected: str) -> None:
    """In half precision the limit is three times the harness's own differences between batch sizes, without a bias."""
    expected = dict.fromkeys(range(20), (-8.0, False))
    repeated = {index: (-8.0 + 0.2 * (-1) ** index, True) for index in range(20)}
    comparison = Comparison(expected, repeated, BFLOAT16)
    answers = {index: (-8.0 + difference, True) for index, difference in enumerate(differences)}
    assert comparison.disagreement(answers) == rejected


def test_records_of_copies_add_up() -> None:
    """The sum of copies' records names the engine if one copy used it, with the reasons of the others."""
    texts = [GenerationRecord(7, 3, 1, 0.25, ("a", "b")), GenerationRecord(8, 4, 0, 0.5, ("b",))]
    records = [
        EngineRecord("harness", compared=64, largest_difference=0.5, reason="it differs", generation=texts[0]),
        EngineRecord("shared-prefix", compared=65, largest_difference=0.125, tokens=9, computed=4, generation=texts[1]),
    ]
    assert add_up(records) == EngineRecord(
        "shared-prefix",
        compared=129,
        largest_difference=0.5,
        tokens=9,
        computed=4,
        reason="1 of 2 copies: it differs",
        generation=GenerationRecord(15, 7, 1, 0.5, ("a", "b")),
    )
    aside = EngineRecord("harness", reason="it has an encoder")
    assert add_up([aside, aside]) == aside
    assert add_up([]) is None


def test_half_precision_may_differ_by_a_few_roundings_of_a_logit() -> None:
    """If the harness's answers do not depend on the batch size, the engine's may differ by a few roundings."""
    expected = dict.fromkeys(range(20), (-1.0, False))
    answers = {index: (-1.0 + 0.3 * (-1) ** index, False) for index in range(20)}
    assert not Comparison(expected, expected, BFLOAT16).disagreement(answers)
    answers = {index: (-1.0 + 0.4 * (-1) ** index, False) for index in range(20)}
    assert Comparison(expected, expected, BFLOAT16).disagreement(answers)
