"""Scoring stored answers again: which answers a changed suite can score, and what computes the scores."""

from __future__ import annotations

from typing import Any

import pytest

from leaderboard.evaluator_contract import EvaluatorResults
from leaderboard.evaluator_files import digest_parts, parse_results
from leaderboard.result_digests import combine
from leaderboard.scoring_again import OtherAnswersNeeded, questions_differ, results_of_stored_metrics, scored_by
from leaderboard.steward_block import EvaluatorUse, StewardBlock
from leaderboard.suites import Suite
from tests.unit.leaderboard.test_evaluator_files import collected, line, results, suite
from tests.unit.leaderboard.test_evaluator_needs import BLOCK

OPTIONS = {"tokens": 16, "seconds": 10}
EVALUATOR: dict[str, Any] = {"name": "pairs", "version": "1.0", "command": ["x"], "options": OPTIONS}
CAN = {"options": ["seconds"], "versions": ["1.0"]}
ERRATA = [{"task": "nearer", "question": 3, "reason": "Wrong."}]


def plain(**changes: Any) -> Suite:
    """Return the suite with means alone; `changes` are fields of the evaluator, of the benchmark or of the suite."""
    of_suite = {name: changes.pop(name) for name in ("errata", "datasets") if name in changes}
    nearer = suite().model_dump(mode="json")["benchmarks"][0]
    nearer |= {name: changes.pop(name) for name in ("shots", "metrics") if name in changes}
    return suite(evaluator={**EVALUATOR, **changes}, benchmarks=[nearer], **of_suite)


def reported(**changes: Any) -> Suite:
    """The suite with a metric that the evaluator reports."""
    of_suite = {name: changes.pop(name) for name in ("errata",) if name in changes}
    return suite(evaluator={**EVALUATOR, "reported": ["rank"], **changes}, **of_suite)


def recorded(of: Suite, **changes: Any) -> tuple[StewardBlock, EvaluatorResults]:
    """Return the block and the report that an evaluation of this suite records."""
    assert of.evaluator is not None
    report, samples = parse_results(results()), collected(of)
    digests = combine(digest_parts(report, of, samples, {"org/pairs": "c" * 40}), of)
    use = EvaluatorUse(**of.evaluator.identity.model_dump(), options=of.evaluator.options)
    facts = {"evaluator": use, "digests": digests, "datasets": {"org/pairs": "c" * 40}, "suite_digest": of.digest}
    return StewardBlock.model_validate({**BLOCK, **facts, **changes}), report


SCORED: dict[str, tuple[Suite, Suite, str]] = {
    "errata of means": (plain(), plain(errata=ERRATA), "stored-metrics"),
    "errata of means, and an evaluator that could": (
        plain(scores_again=CAN), plain(scores_again=CAN, errata=ERRATA), "stored-metrics",
    ),
    "another limit of errors, which changes no answer": (plain(), plain(max_errors=3), "stored-metrics"),
    "another option of scoring": (plain(), plain(options={**OPTIONS, "seconds": 20}, scores_again=CAN), "evaluator"),
    "an option of scoring that is left out": (plain(), plain(options={"tokens": 16}, scores_again=CAN), "evaluator"),
    "a newer version that scores the earlier one's answers": (
        plain(), plain(version="1.1", scores_again=CAN), "evaluator",
    ),
    "a metric that was not computed": (plain(), plain(metrics=["accuracy", "length"], scores_again=CAN), "evaluator"),
    "errata of a metric that the evaluator reports": (
        reported(scores_again=CAN), reported(scores_again=CAN, errata=ERRATA), "evaluator",
    ),
    "a metric that it reports, without errata": (reported(), reported(max_errors=3), "stored-metrics"),
    "the same suite, once more": (plain(scores_again=CAN), plain(scores_again=CAN), "evaluator"),
}  # fmt: skip


@pytest.mark.parametrize(("before", "now", "by"), SCORED.values(), ids=SCORED)
def test_what_scores_stored_answers(before: Suite, now: Suite, by: str) -> None:
    """The stored metrics give the scores where they suffice, else the evaluator scores the stored answers."""
    block, report = recorded(before)
    assert scored_by(block, report, now) == by


REFUSED: dict[str, tuple[Suite, Suite, dict[str, Any], str]] = {
    "answers of lm-eval": (plain(), plain(), {"evaluator": None}, "lm-eval evaluated it, and the suite names"),
    "another evaluator": (plain(), plain(name="other"), {}, "pairs evaluated it, and the suite names"),
    "a newer version that does not say so": (plain(), plain(version="1.1"), {}, "1.1 scores answers of that version"),
    "an option on which answers depend": (
        plain(), plain(options={**OPTIONS, "tokens": 32}, scores_again=CAN), {}, "tokens is 32 and was 16",
    ),
    "options that are not recorded": (
        plain(), plain(options={}, scores_again=CAN), {"evaluator": {"name": "pairs", "version": "1.0"}},
        "do not record",
    ),
    "another number of examples": (plain(), plain(shots=2), {}, "nearer has 2 examples and had 0"),
    "other tasks": (reported(), plain(), {}, "other tasks than the evaluation answered"),
    "questions of another commit": (
        plain(), plain(datasets=[{"repo": "org/pairs", "revision": "d" * 40}]), {}, "pins the questions of org/pairs",
    ),
    "no digests": (plain(), plain(errata=ERRATA), {"digests": None}, "no digests"),
}  # fmt: skip


@pytest.mark.parametrize(("before", "now", "facts", "words"), REFUSED.values(), ids=REFUSED)
def test_other_answers_are_needed(before: Suite, now: Suite, facts: dict[str, Any], words: str) -> None:
    """If the suite needs other answers than the stored ones, an error says why."""
    block, report = recorded(before, **facts)
    with pytest.raises(OtherAnswersNeeded, match=words):
        scored_by(block, report, now)


def test_a_report_that_follows_from_stored_metrics() -> None:
    """The report has the means of the stored metrics and the reported values; a value not reported is an error."""
    of = reported(max_errors=3)
    lines = [line(number, metrics={"accuracy": 0.5}) for number in range(4)]
    report = results_of_stored_metrics(parse_results(results()), of, collected(of, nearer=lines))
    assert report.tasks["nearer"].metrics == {"accuracy": 0.5} and report.tasks["nearer"].questions == 4
    assert report.tasks["similar"].metrics == {"rank": 0.5}
    without = parse_results(results(tasks={"nearer": {"questions": 8, "metrics": {"accuracy": 0.75}}}))
    with pytest.raises(OtherAnswersNeeded, match="reported no 'rank' of similar"):
        results_of_stored_metrics(without, of, collected(of))


def test_a_pinned_commit_is_compared_with_the_recorded_one() -> None:
    """The pinned commit of the questions must be the recorded one; a repo that is not recorded counts as the same."""
    pinned = plain(datasets=[{"repo": "org/pairs", "revision": "d" * 40}])
    assert questions_differ({"org/pairs": "d" * 40}, pinned) == []
    assert questions_differ({"copy/pairs": "c" * 40}, pinned) == []
    assert len(questions_differ({"org/pairs": "c" * 40}, pinned)) == 1


def test_what_an_evaluator_can_score_is_no_part_of_the_digest() -> None:
    """Adding `scores_again` does not change a suite's digest, and allows errata beside reported metrics."""
    assert plain(scores_again=CAN).digest == plain().digest
    assert reported(scores_again=CAN, errata=ERRATA).withdrawn("nearer") == {3}
