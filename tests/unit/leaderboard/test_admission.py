"""The admission rules: from the facts about a submission to a verdict that lists every reason for a refusal."""

from __future__ import annotations

import typing
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from leaderboard.admission.base import BASE
from leaderboard.admission.facts import TokenizerFacts
from leaderboard.admission.rules import REASONS, RULES, judge, refusal, unreadable
from leaderboard.boards import BadBoard, parse_board
from leaderboard.policy import Fixed, Switchable
from leaderboard.reasons import Problem, Reason, bounded, names, table
from tests.support.units.admission_cases import CASES
from tests.support.units.admission_facts import ADAPTER, BOARD, MODEL, TOKENIZER, Case
from tests.support.units.admission_facts import tokenizer as with_tokenizer

VERDICTS = {case.name: judge(case.submission()) for case in CASES}


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_a_submission_is_accepted_or_told_every_reason(case: Case) -> None:
    """The admission rules give exactly the expected reasons in order, and accept a submission if there are none."""
    verdict = VERDICTS[case.name]
    assert tuple(reason.code for reason in verdict.reasons) == case.codes
    assert verdict.accepted == (not case.codes)
    assert verdict.sha == case.model.sha
    assert {reason for result in verdict.results for reason in result.reasons} == set(verdict.reasons)
    assert all((result.outcome == "failed") == bool(result.reasons) for result in verdict.results)


def test_the_table_covers_every_reason_and_every_rule() -> None:
    """The cases produce every reason except those for unreadable files, and each rule both passes and fails."""
    verdicts = list(VERDICTS.values())
    codes = {reason.code.removeprefix(BASE) for verdict in verdicts for reason in verdict.reasons}
    codes |= {reason.code for verdict in verdicts for reason in verdict.reasons}
    of_reading = {"path-shape", "path-name", "too-large", "not-json", "not-an-object", "field", "place"}
    assert set(REASONS) - codes == of_reading
    outcomes = {(result.rule.name, result.outcome) for verdict in verdicts for result in verdict.results}
    assert {name for name, outcome in outcomes if outcome == "failed"} == {rule.name for rule in RULES}
    assert {name for name, outcome in outcomes if outcome == "passed"} == {rule.name for rule in RULES}
    assert len(CASES) >= 60
    assert len({case.name for case in CASES}) == len(CASES)


def test_every_rule_has_a_name_that_a_board_may_write() -> None:
    """A board file may use exactly the names of the rules, and each rule has a title, an explanation and a source."""
    assert sorted(rule.name for rule in RULES) == sorted((*typing.get_args(Fixed), *typing.get_args(Switchable)))
    assert all(rule.title and rule.explains and rule.source for rule in RULES)


@pytest.mark.parametrize("name", typing.get_args(Switchable))
def test_a_rule_that_is_off_is_silent(name: str) -> None:
    """A rule that a board turns off gives no reasons; all other rules still do."""
    outcomes = [(case, r.outcome) for case in CASES for r in VERDICTS[case.name].results if r.rule.name == name]
    concerned = [case for case, outcome in outcomes if outcome == "failed"] + [case for case, _ in outcomes][:3]
    for case in concerned:
        off = {*case.policy.get("off", ("half-precision", "base-declared")), name}
        verdict = judge(replace(case, policy={**case.policy, "off": sorted(off)}).submission())
        assert name not in {result.rule.name for result in verdict.results}
        before = VERDICTS[case.name]
        own = {reason for result in before.results if result.rule.name == name for reason in result.reasons}
        remaining = [reason for reason in before.reasons if reason not in own]
        assert [r for r in remaining if not r.code.startswith(BASE)] == [
            r for r in verdict.reasons if not r.code.startswith(BASE)
        ]


@given(st.sampled_from(CASES), st.sampled_from(CASES), st.sampled_from(CASES))
def test_any_mixture_of_facts_is_judged(one: Case, other: Case, third: Case) -> None:
    """Any combination of model, request and board facts gives a verdict with bounded texts."""
    mixed = replace(one, model=other.model, board_facts=third.board_facts, policy=third.policy)
    verdict = judge(mixed.submission())
    assert verdict.accepted == (not verdict.reasons)
    for reason in verdict.reasons:
        assert reason.message.endswith(".")
        assert reason.advice.endswith(".")
        assert len(reason.message) < 1_000
    if verdict.reasons:
        assert refusal(verdict.reasons).fault == "submission"


@pytest.mark.parametrize(
    ("weight_type", "own", "is_own"),
    [
        ("Adapter", None, False),
        ("Adapter", TokenizerFacts("missing"), False),
        ("Adapter", TokenizerFacts("unreadable"), True),
        ("Original", TokenizerFacts("missing"), True),
    ],
)
def test_an_adapter_without_a_tokenizer_uses_that_of_its_base_model(
    weight_type: str, own: TokenizerFacts | None, is_own: bool
) -> None:
    """An adapter without a tokenizer is judged with that of its base model, and every other model with its own."""
    submission = Case("", model=replace(ADAPTER, tokenizer=own), weight_type=weight_type).submission()
    assert submission.tokenizer == (own if is_own else TOKENIZER)


@pytest.mark.parametrize(
    ("facts", "words"),
    [
        ({"state": "unreadable", "error": "It is torn."}, "It is torn."),
        ({"state": "unreadable", "error": ""}, "it is not what transformers expects."),
        ({"template": "raises", "error": "no macro"}, "no macro."),
        ({"template": "raises", "error": ""}, "it raises an error."),
    ],
)
def test_a_broken_tokenizer_is_told_with_an_error(facts: dict[str, typing.Any], words: str) -> None:
    """The reason quotes the library's error and ends with one full stop; without an error it has a standard text."""
    case = Case("", model=with_tokenizer(**facts), asked={"use_chat_template": True})
    (reason,) = judge(case.submission()).reasons
    assert words in reason.message
    assert ".." not in reason.message


@pytest.mark.parametrize("missing", [{"config": None}, {"tokenizer": None}, {"weights": None}, {"card": None}])
def test_facts_that_are_not_known_yet_fail_no_rule(missing: dict[str, typing.Any]) -> None:
    """If one part of a model could not be read, the rules about it are skipped and none of them fails."""
    verdict = judge(Case("", model=replace(MODEL, **missing)).submission())
    assert verdict.reasons == ()
    assert {result.outcome for result in verdict.results} == {"passed", "not-looked-at"}


def test_a_file_that_cannot_be_read_fails_the_first_rule_and_leaves_the_others_open() -> None:
    """The verdict on an unreadable file fails the rule `request-file` and marks all other rules as not checked."""
    verdict = unreadable([Problem(code="not-json", message="It is torn.")])
    assert not verdict.accepted
    assert [result.outcome for result in verdict.results] == ["failed", *["not-looked-at"] * (len(RULES) - 1)]
    assert verdict.results[0].rule.name == "request-file"


def test_a_refusal_of_several_reasons_is_one_failure_that_holds_them_all() -> None:
    """A refusal for several reasons is one failure that contains each message and has the fault `submission`."""
    case = next(case for case in CASES if case.name == "everything at once")
    reasons = judge(case.submission()).reasons
    failure = refusal(reasons)
    assert failure.cause == "several-reasons"
    assert failure.fault == "submission"
    assert all(reason.message in failure.message for reason in reasons)
    assert refusal(reasons[:1]).cause == reasons[0].code


@given(
    st.lists(
        st.builds(Problem, code=st.just("x"), message=st.text(max_size=900), advice=st.text(max_size=900)), min_size=1
    )
)
def test_a_refusal_keeps_whole_sentences_as_far_as_they_fit(reasons: list[Problem]) -> None:
    """The failure is bounded for any number and length of reasons, and counts those that do not fit."""
    failure = refusal(reasons)
    assert len(failure.message) <= 2_000
    assert len(failure.advice) <= 2_000
    included = [reason for reason in reasons if reason.message in failure.message]
    assert len(included) == len(reasons) or "more.)" in failure.message


def test_a_reason_of_any_length_fits() -> None:
    """A single sentence that is too long is cut, not dropped."""
    failure = refusal([Problem(code="x", message="word " * 2_000)])
    assert failure.message.startswith("word word")
    assert failure.message.endswith("…")
    assert len(failure.message) <= 2_000


def test_a_link_is_told_with_its_reason() -> None:
    """The refusal of a model that was submitted before contains the link to the earlier submission."""
    case = next(case for case in CASES if case.name == "submitted before, and failed")
    (reason,) = judge(case.submission()).reasons
    assert reason.link == "https://hub.example/requests/1"
    assert reason.link in refusal([reason]).message


@given(st.text())
def test_untrusted_text_in_a_message_is_bounded_and_on_one_line(word: str) -> None:
    """Untrusted text is cut and freed of line breaks and invisible characters before it is put into a message."""
    shortened = bounded(word, 40)
    assert len(shortened) <= 40
    assert shortened.isprintable()
    problem = Reason("x", "It says '{word}'.", "Do {word}.").problem(word=word)
    assert problem.message == f"It says '{bounded(word)}'."


def test_names_are_counted_where_they_are_many() -> None:
    """A list of names in a message shows the first three or fewer names and the number of the others."""
    assert names(["a"]) == "'a'"
    assert names(["a", "b"]) == "'a' and 'b'"
    assert names(["a", "b", "c", "d", "e"]) == "'a', 'b', 'c' and 2 more"


def test_a_code_stands_for_one_reason() -> None:
    """A table with two reasons of the same code raises an error."""
    with pytest.raises(ValueError, match="two reasons"):
        table([Reason("a", "x", "y"), Reason("a", "z", "y")])


@pytest.mark.parametrize(
    "text",
    [
        "",
        "- a",
        "{",
        "name: X y",
        BOARD + "suites: [a]\n",
        BOARD.replace("o/logs", "o/../x"),
        BOARD + "admission: {off: [safetensors]}\n",
        BOARD + "admission: {off: [nonsense]}\n",
        BOARD + "admission: {quota: -1}\n",
        BOARD + "admission: {max_billions: {float16: 0}}\n",
    ],
)
def test_a_bad_board_file_says_what_is_wrong(text: str) -> None:
    """An invalid board file raises BadBoard with a sentence, and no other exception."""
    with pytest.raises(BadBoard, match="board file"):
        parse_board(text)


def test_a_board_file_turns_rules_off_by_name_and_sets_numbers() -> None:
    """The key `off` works although YAML reads it as false; an error names the field that turns off a fixed rule."""
    policy = parse_board(BOARD + "admission: {off: [copy], quota: 3, max_billions: {float16: 7}}\n").admission
    assert (policy.off, policy.quota, policy.max_billions) == (("copy",), 3, {"float16": 7})
    assert not policy.holds("copy")
    with pytest.raises(BadBoard, match=r"admission\.off\.0"):
        parse_board(BOARD + "admission: {off: [safetensors]}\n")
