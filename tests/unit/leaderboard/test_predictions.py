"""The rules of predictions: what a suite says of them, the check of a file, who may submit, and when."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml

from leaderboard.prediction_checks import PredictionRow, PredictionTable, Unusable, check_predictions
from leaderboard.prediction_submissions import (
    PredictionSubmission,
    models_problem,
    predictions_file,
    season_of,
    submission_problems,
)
from leaderboard.predictions import PredictionRules, is_predictions_path
from leaderboard.suites import BadSuite, Suite, find_suite, parse_suite
from tests.support.board.predictions import suite_at

REVISION = "a" * 40
IDS = ("q1", "q2", "3")


def rules(kind: str = "choice", **more: Any) -> PredictionRules:
    """Rules for predictions of one type."""
    answers = {"repo": "board/answers", "revision": REVISION, "file": "answers.csv"}
    choices = {"choices": ("red", "green")} if kind == "choice" else {}
    return PredictionRules.model_validate({"answers": answers, "type": kind, **choices, **more})


def table(*cells: tuple[Any, Any], bad: tuple[int, ...] = ()) -> PredictionTable:
    """A file with these rows."""
    rows = tuple(PredictionRow(number, id_, value) for number, (id_, value) in enumerate(cells, 1))
    return PredictionTable(rows, bad, len(bad))


GOOD = (("q1", "red"), ("q2", "green"), (3, "red"))
FILES = [
    ("choice", table(*GOOD), []),
    ("choice", table(*GOOD[:2]), ["Questions without a prediction (1): '3'."]),
    ("choice", table(*GOOD, ("q1", "green")), ["Ids that occur more than once (1): 'q1'."]),
    ("choice", table(*GOOD, ("q9", "green")), ["Ids that no question has (1): 'q9'."]),
    ("choice", table(*GOOD[:2], (3, "blue")), ["Predictions that are not one of 'red' and 'green' (1): '3: blue'."]),
    ("choice", table(*GOOD[:2], (3, True)), ["Predictions that are not one of 'red' and 'green' (1): '3: True'."]),
    ("choice", table(*GOOD[:2], (3, None)), ["Predictions that are not one of 'red' and 'green' (1): '3: nothing'."]),
    ("choice", table(*GOOD, (None, "red"), (1.5, "red")), ["Rows without a usable id (2): 'row 4' and 'row 5'."]),
    ("choice", table(*GOOD, (Unusable("a list"), "red")), ["Rows without a usable id (1): 'row 4'."]),
    ("choice", table(*GOOD, ("x" * 201, "red")), ["Rows without a usable id (1): 'row 4'."]),
    ("choice", table(*GOOD, bad=(2, 5)), ["Lines that are no JSON objects (2): 'line 2' and 'line 5'."]),
    ("number", table(("q1", 1), ("q2", "2.5"), ("3", -1e3)), []),
    ("number", table(("q1", " -1.5e-05"), ("q2", "+.5"), ("3", "3. ")), []),
    ("number", table(("q1", "nan"), ("q2", 2), ("3", 3)), ["Predictions that are not numbers (1): 'q1: nan'."]),
    *(
        ("number", table(("q1", text), ("q2", 2), ("3", 3)), ["Predictions that are not numbers (1): 'q1:"])
        for text in ("1_000", "١٢", "１", "infinity", "1e999", "1\n", "\u20031", "1 000", "1,5", "0x10", ".", "e5", "")
    ),
    ("number", table(("q1", float("inf")), ("q2", 2), ("3", 3)), ["Predictions that are not numbers (1): 'q1: inf'."]),
    ("number", table(("q1", "1" * 50), ("q2", 2), ("3", 3)), ["Predictions that are not numbers (1): 'q1: 11111"]),
    (
        "number",
        table(("q1", 10**400), ("q2", 2), ("3", 3)),
        ["Predictions that are not numbers (1): 'q1: a huge number'."],
    ),
    (
        "number",
        table(("q1", "one"), ("q2", True), ("3", 3)),
        ["Predictions that are not numbers (2): 'q1: one' and 'q2: True"],
    ),
    ("text", table(("q1", ""), ("q2", "…\x00"), ("3", "a" * 10_000)), []),
    (
        "text",
        table(("q1", "a" * 10_001), ("q2", "b"), ("3", "c")),
        ["Predictions that are not texts of at most 10,000"],
    ),
]


@pytest.mark.parametrize(("kind", "read", "sentences"), FILES)
def test_each_problem_of_a_file_is_told(kind: str, read: PredictionTable, sentences: list[str]) -> None:
    """The check reports each kind of problem in a sentence with the first cases and their number, and gives advice."""
    problems = check_predictions(read, IDS, rules(kind)).problems
    assert len(problems) == len(sentences)
    for problem, words in zip(problems, sentences, strict=True):
        assert problem.message.startswith(words)
        assert problem.advice


def test_all_problems_are_told_at_once_and_bounded() -> None:
    """For a file with thousands of problems, the check reports one short sentence for each kind of problem."""
    cells = [("x\n<b>" * 10 + str(number), "zork" * 100) for number in range(5_000)]
    read = table(*cells, *cells, (None, "red"), bad=tuple(range(5)))
    problems = check_predictions(read, [f"q{number}" for number in range(5_000)], rules()).problems
    assert [problem.code.removeprefix("predictions-") for problem in problems] == [
        "lines",
        "ids",
        "doubled",
        "foreign",
        "missing",
        "wrong",
    ]
    assert all(len(problem.message) < 500 and "\n" not in problem.message for problem in problems)
    assert "and 4,997 more" in problems[3].message


def test_numbers_of_any_spelling_are_one_id() -> None:
    """A whole number and the same number as text are one id, so that both in a file are a duplicate."""
    read = table(("q1", "red"), ("q2", "red"), (3, "red"), ("3", "red"))
    assert [problem.code for problem in check_predictions(read, IDS, rules()).problems] == ["predictions-doubled"]


RULES: list[tuple[dict[str, Any], str]] = [
    ({"type": "text", "choices": ["a"]}, "choice"),
    ({"type": "choice", "choices": []}, "choices"),
    ({"choices": ["a", "a"]}, "twice"),
    ({"rounding": 0}, "rounding"),
    ({"seasons": [{"name": "a", "begins": "2026-01-02", "ends": "2026-01-01"}]}, "ends before"),
    ({"seasons": [{"name": "a", "begins": "2026-01-01", "ends": "2026-01-03"}] * 2}, "same name"),
    (
        {
            "seasons": [
                {"name": "a", "begins": "2026-01-01", "ends": "2026-01-03"},
                {"name": "b", "begins": "2026-01-02", "ends": "2026-01-04"},
            ]
        },
        "overlap",
    ),
]


@pytest.mark.parametrize(("change", "words"), RULES)
def test_rules_that_contradict_themselves_are_refused(change: dict[str, Any], words: str) -> None:
    """Rules of predictions that contradict each other raise an error that names the contradiction."""
    with pytest.raises(ValueError, match=words):
        rules(**{"kind": change.pop("type", "choice"), **change})


def test_a_suite_needs_metrics_that_its_predictions_have() -> None:
    """A suite is refused if its metric does not belong to its type of predictions."""
    suite = suite_at(REVISION).model_dump(mode="json")
    suite["benchmarks"][0]["metrics"] = ["r2,none"]
    with pytest.raises(BadSuite, match=r"no metric of predictions of the type choice: r2,none"):
        parse_suite(json.dumps(suite))


def test_seasons_and_quota_do_not_change_the_digest() -> None:
    """A suite's digest depends on its answers and its rounding, not on its seasons and its quota."""
    suite = suite_at(REVISION)
    season = {"name": "one", "begins": "2026-01-01", "ends": "2026-02-01"}
    assert suite_at(REVISION, per_week=9, seasons=[season]).digest == suite.digest
    assert suite_at("b" * 40).digest != suite.digest
    assert suite_at(REVISION, rounding=0.01).digest != suite.digest


@pytest.mark.parametrize("name", ["open-llm-v1", "open-llm-v2", "starter"])
def test_suites_without_predictions_keep_their_digests(name: str) -> None:
    """The digests of the suites that ship are those from before there were predictions."""
    digests = {"open-llm-v1": "0327a3c72aeb", "open-llm-v2": "4b75c12683e1", "starter": "ad2a01c6c121"}
    assert find_suite(name).digest.startswith(digests[name])


@pytest.mark.parametrize(
    ("named", "is_right"),
    [
        ("ada/one_predictions.jsonl", True),
        ("ada/one_predictions.parquet", True),
        ("ada/two_predictions.csv", False),
        ("../ada/one_predictions.csv", False),
        ("ada/one_predictions.csv.gz", False),
        (None, False),
        (["ada/one_predictions.csv"], False),
    ],
)
def test_a_request_names_the_file_beside_it(named: object, is_right: bool) -> None:
    """A request may name only the file of predictions of its own path, with a known extension."""
    path = predictions_file("ada/one", named)
    assert (path == named) is is_right
    assert not isinstance(path, str) or is_predictions_path(path)


def at(day: int) -> float:
    """A day of November 2026, at noon."""
    return datetime(2026, 11, day, 12, tzinfo=UTC).timestamp()


SEASONS = (
    {"name": "one", "begins": "2026-11-05", "ends": "2026-11-10"},
    {"name": "two", "begins": "2026-11-12", "ends": "2026-11-20T12:00:00+02:00"},
)
WHEN: list[tuple[float, float, tuple[str, ...], str | None]] = [
    (at(4), at(4), (), None),
    (at(6), at(6), (), "one"),
    (at(9), at(10), (), "one"),  # the bot was late
    (at(9), at(10), ("one",), None),  # its table is published
    (at(10), at(11), (), None),
    (at(9), at(13), ("one",), "two"),
    (at(19), at(19), ("one",), "two"),
    (at(20), at(20), ("one",), None),  # it ended at ten
]


@pytest.mark.parametrize(("submitted", "now", "ended", "season"), WHEN)
def test_a_submission_counts_in_the_season_of_its_time(
    submitted: float, now: float, ended: tuple[str, ...], season: str | None
) -> None:
    """A late bot does not exclude a submission; a season whose table is published accepts no more."""
    facts = PredictionSubmission(org="ada", submitter="ada", now=now, submitted=submitted, ended=ended)
    assert (season_of(facts, rules(seasons=SEASONS)) or None) == season
    codes = [problem.code for problem in submission_problems(facts, rules(seasons=SEASONS))]
    assert codes == ([] if season else ["predictions-season"])


@pytest.mark.parametrize(
    ("submitted", "now", "earlier", "season"),
    [
        (at(9), at(13), "one", "one"),  # not the open one
        (at(9), at(11), "one", "one"),  # none is open
        (at(9), at(25), "zero", "zero"),  # the suite names it no more
        (at(13), at(14), "", "two"),  # the suite had no seasons yet
        (at(4), at(13), "", ""),
    ],
)
def test_a_file_that_was_scored_stays_in_its_season(submitted: float, now: float, earlier: str, season: str) -> None:
    """A file that was scored before keeps its season when it is scored again, and is accepted outside all seasons."""
    facts = PredictionSubmission("ada", "ada", now, submitted, ended=("one",), was_scored=True, season=earlier)
    assert season_of(facts, rules(seasons=SEASONS)) == season
    assert submission_problems(facts, rules(seasons=SEASONS)) == []


def test_the_next_season_is_named() -> None:
    """Between two seasons, the sentence says when the next one begins."""
    facts = PredictionSubmission(org="ada", submitter="ada", now=at(11), submitted=at(11))
    (problem,) = submission_problems(facts, rules(seasons=SEASONS))
    assert "two, begins on 2026-11-12 at 00:00 UTC" in problem.message


@pytest.mark.parametrize(
    ("changes", "codes"),
    [
        ({}, []),
        ({"submitter": "Ada"}, ["predictions-submitter"]),  # one account has one folder, and one quota
        ({"submitter": "bob"}, ["predictions-submitter"]),
        ({"submitter": ""}, ["predictions-submitter"]),
        ({"scored": 5}, ["predictions-quota"]),
        ({"scored": 4}, []),
        ({"is_private": True, "weight_type": "Delta"}, ["predictions-private", "predictions-weights"]),
    ],
)
def test_who_may_submit(changes: dict[str, Any], codes: list[str]) -> None:
    """An account submits predictions only in its own folder, within its quota, and without options for models."""
    facts = PredictionSubmission(**{"org": "ada", "submitter": "ada", "now": at(1), "submitted": at(1), **changes})
    assert [problem.code for problem in submission_problems(facts, rules())] == codes


@pytest.mark.parametrize(
    ("precisions", "takes", "is_taken"),
    [
        (("float16",), False, True),
        (("float16",), True, False),
        (("predictions",), True, False),
        (("predictions", "float16"), True, True),
    ],
)
def test_a_board_chooses_whether_to_mix(precisions: tuple[str, ...], takes: bool, is_taken: bool) -> None:
    """A board for predictions accepts models too only if its precisions name both."""
    assert (models_problem(precisions, takes_predictions=takes) is None) is is_taken


def test_the_suite_in_the_documentation_is_valid(project: Path) -> None:
    """The example in docs/predictions.md is a suite that accepts predictions."""
    (block, *_) = re.findall(r"```yaml\n(.*?)```", (project / "docs/predictions.md").read_text(), re.DOTALL)
    rules = parse_suite(block).predictions
    assert rules is not None
    assert rules.seasons[0].ends == datetime(2026, 12, 1, tzinfo=UTC)


def test_the_suite_of_these_tests_is_valid_yaml() -> None:
    """The suite of the tests is read from YAML as operators write it."""
    assert isinstance(parse_suite(yaml.safe_dump(suite_at(REVISION).model_dump(mode="json"))), Suite)
