"""The comparison of the answers that another worker published with the model's answers on this machine."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pytest

from leaderboard.cross_check_decisions import CrossCheckVote, decide
from leaderboard.cross_checks import CheckedQuestion, CrossCheckReport, cross_check_id
from leaderboard.suites import find_suite
from tests.support.models.families import random_model
from tests.support.models.shared_prefix import harness_model
from workers.common.run_plan import ClaimedAnswer
from workers.evaluation import claimed_answers
from workers.evaluation.claimed_answers import NotComparable, scores_differ, text_differs
from workers.jobs.row_verdicts import (
    NOT_SEEN,
    OTHER_METRICS,
    SMALLER_METRICS,
    has_time_limit,
    limit_smaller_metrics,
    question_verdict,
    row_verdict,
)
from workers.jobs.row_verdicts import claimed_answers as answers_in

QUESTION = CheckedQuestion("task", 3)
EPSILON = 2.0**-7
OWN = [(-3.0, False), (-4.0, False), (-5.0, False), (-9.0, False)]
Score = tuple[float, bool]


def moved(*differences: float) -> list[Score]:
    """The answers of `OWN` with these differences added to their log-likelihoods."""
    return [(score + by, greedy) for (score, greedy), by in zip(OWN, differences, strict=True)]


@pytest.mark.parametrize(
    ("claimed", "epsilon", "words"),
    [
        pytest.param(OWN, None, "", id="the same"),
        pytest.param(moved(5e-4, -8e-4, 0, 2e-5), None, "", id="digits of other hardware"),
        pytest.param(moved(0, 0, 0, 2e-3), None, "is -8.998000 instead of -9.000000", id="another number"),
        pytest.param([(-3.0, True), *OWN[1:]], None, "most likely one", id="another most likely text"),
        pytest.param(moved(0.2, -0.3, 0.1, 0.2), EPSILON, "", id="half precision"),
        pytest.param(moved(0, 0, 0, 3.2), EPSILON, "differs by 3.2000", id="half precision, one far away"),
        pytest.param(moved(0.5, 0.5, 0.5, 0), EPSILON, "differ by 0.5000", id="half precision, most of them moved"),
        pytest.param(moved(0, 0, 2.5, 0), EPSILON, "another choice is more likely by 2.0000", id="another choice"),
        pytest.param([(-4.2, True), *OWN[1:]], EPSILON, "another choice", id="a choice that is far less likely"),
        pytest.param([(float("nan"), False)] * 4, EPSILON, "differs", id="no numbers"),
    ],
)
def test_log_likelihoods_agree_within_rounding(claimed: list[Score], epsilon: float | None, words: str) -> None:
    """In float32 each log-likelihood has to be nearly equal; half precision allows more, but no other choice."""
    problem = scores_differ(claimed, OWN, epsilon)
    assert words in problem and bool(words) == bool(problem)


def test_texts_agree_if_the_model_nearly_writes_them(monkeypatch: pytest.MonkeyPatch) -> None:
    """A text agrees if each token and its end are nearly the most likely; invented, cut or longer texts differ."""
    from lm_eval.api.instance import Instance

    lm = harness_model(random_model("llama"), max_length=120)
    request = Instance("generate_until", {}, ("abcab", {"until": ["Z"], "max_gen_toks": 6}), 0)
    (text,) = lm.generate_until([request], disable_tqdm=True)
    lm._prompt_of = lambda request: lm.tok_batch_encode([request.args[0]])[0][0].tolist()
    other = "ab" if not text.startswith("a") else "ba"
    assert "not the model's" in text_differs(lm, request, other, text)
    assert "ends elsewhere" in text_differs(lm, request, text[:-1], text)
    assert "ends elsewhere" in text_differs(lm, request, "", text)
    assert "not the model's" in text_differs(lm, request, text + "bbbb", text)
    monkeypatch.setattr(claimed_answers, "TOLERANCES", {"float32": 100.0})
    for claimed in (other, text[:-1], text + "bbbb"):
        assert text_differs(lm, request, claimed, text) == ""
    lm.think_end_token = "x"
    with pytest.raises(NotComparable):
        text_differs(lm, request, other, text)


# --- the rows of the tables


def row(**changes: Any) -> dict[str, Any]:
    """A row of a table of samples."""
    texts = dict.fromkeys(("doc", "prompt", "continuations", "target", "answers"), "[]")
    metrics = json.dumps({"acc": 1.0})
    responses = json.dumps([[["-1.5", "False"]], [["-2.5", "True"]]])
    return {"doc_id": 3, **texts, "responses": responses, "filter": "none", "metrics": metrics, **changes}


def test_claimed_answers_are_read_from_a_row() -> None:
    """A row's responses are read as log-likelihoods or as texts."""
    assert answers_in(QUESTION, [row()]) == ClaimedAnswer(task="task", number=3, answers=((-1.5, False), (-2.5, True)))
    texts = answers_in(QUESTION, [row(responses=json.dumps([["so"]]))])
    assert texts.answers == ("so",)


@pytest.mark.parametrize("responses", ["[[", "{}", '[[["x", "False"]]]', '[[["nan", "False"]]]', "7", '[["a", 1]]'])
def test_malformed_responses_are_read_as_no_answers(responses: str) -> None:
    """Responses that are cut, malformed or not numbers are read as no answers."""
    assert answers_in(QUESTION, [row(responses=responses)]).answers == ()


AGREES = ("agrees", "")


@pytest.mark.parametrize(
    ("published", "here", "compared", "verdict"),
    [
        ({}, {}, AGREES, "agrees"),
        ({"prompt": "an easier one"}, {}, AGREES, "differs"),
        ({"doc": "another"}, {}, AGREES, "differs"),
        ({"filter": "other"}, {}, AGREES, "differs"),
        ({"metrics": json.dumps({"acc": 1.0})}, {"metrics": json.dumps({"acc": 0.0})}, AGREES, "differs"),
        ({"metrics": json.dumps({"acc": 0.0})}, {"metrics": json.dumps({"acc": 1.0})}, AGREES, "differs"),
        ({"metrics": json.dumps({"more": 1.0})}, {}, AGREES, "differs"),
        ({"metrics": "no JSON"}, {}, AGREES, "differs"),
        ({}, {}, ("differs", "a log-likelihood"), "differs"),
        ({}, {}, ("not-compared", "at random"), "not-compared"),
        ({}, {}, None, "not-compared"),
    ],
)
def test_all_but_the_answers_is_the_same_letter_for_letter(
    published: Mapping[str, Any], here: Mapping[str, Any], compared: tuple[str, str] | None, verdict: str
) -> None:
    """Question, prompt, filter and metrics have to be equal; smaller metrics differ, too."""
    row_result = row_verdict([row(**published)], compared, [row(**here)])
    assert row_result[0] == verdict
    assert compared is not None or row_result[1] == NOT_SEEN


OPEN_LLM = find_suite("open-llm-v2")
ZERO = {"metrics": json.dumps({"acc": 0.0})}


@pytest.mark.parametrize(
    ("task", "answers", "smaller", "drawn", "differing"),
    [
        pytest.param("leaderboard_math_algebra_hard", ("so",), 1, 8, 0, id="one, as after a time limit"),
        pytest.param("leaderboard_math_algebra_hard", ("so",), 2, 8, 2, id="too many"),
        pytest.param("minerva_math_algebra", ("so",), 2, 22, 0, id="two of 22"),
        pytest.param("minerva_math_algebra", ("so",), 22, 22, 22, id="all"),
        pytest.param("leaderboard_ifeval", ("so",), 1, 8, 1, id="texts without a time limit"),
        pytest.param("kmmlu_math", ((-1.5, False), (-2.5, True)), 1, 8, 1, id="log-likelihoods"),
    ],
)
def test_smaller_metrics_are_excused_by_a_time_limit_alone_and_few(
    task: str, answers: tuple[Any, ...], smaller: int, drawn: int, differing: int
) -> None:
    """Smaller metrics agree only for few texts of tasks whose metrics have a time limit, and the record says so."""
    may_be_smaller = has_time_limit(ClaimedAnswer(task=task, number=0, answers=answers), OPEN_LLM)
    verdicts = limit_smaller_metrics(
        [
            question_verdict(
                CheckedQuestion(task, number),
                *row_verdict(
                    [row(**ZERO) if number < smaller else row()], AGREES, [row()], may_be_smaller=may_be_smaller
                ),
            )
            for number in range(drawn)
        ]
    )
    check = cross_check_id("board", "path", "0" * 40, 1)
    report = CrossCheckReport(check=check, attempt=check, commit="0" * 40, nonce="0" * 32, answers=verdicts)
    assert len(report.with_verdict("differs")) == differing
    decision = decide([CrossCheckVote("second", report)])
    assert decision.reason == f"{task}, question 0: {OTHER_METRICS if differing else SMALLER_METRICS}"


def test_a_question_that_was_not_published_differs() -> None:
    """A question without a published row differs, because a worker could omit what it wants to hide."""
    assert row_verdict((), None, ())[0] == "differs"
