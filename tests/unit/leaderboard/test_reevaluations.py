"""Evaluations by a new suite: which finished requests are due for one, and how the bot puts them back."""

from __future__ import annotations

import json
from typing import Any

import pytest

from leaderboard import transitions
from leaderboard.attempts import Failure
from leaderboard.lifecycle import CurrentAttempt, find_current_attempt
from leaderboard.requests import Request, parse_request
from leaderboard.transitions import reevaluation_cause, reevaluation_status
from tests.support.units.request_transitions import written

PATH = "o/m_eval_request_False_float16_Original.json"
SHA, OLD, NEW = "a" * 40, "0" * 64, "1" * 64
FAILURE = Failure(cause="disk-full", fault="us", message="The disk is full.")
RESULTS = "o/m/results_2026-11-24T12-00-00.000000.json"


def request(status: str = "FINISHED", asks: str = "main", **facts: Any) -> Request:
    """A request file."""
    parsed = parse_request(
        PATH, json.dumps({"model": "o/m", "status": status, "revision": asks, "steward": facts}).encode()
    )
    assert isinstance(parsed, Request)
    return parsed


OURS = {"attempt": 2, "first": 2, "spent": 2, "revision": SHA, "results": RESULTS, "log": "http://log"}


@pytest.mark.parametrize(
    ("made_with", "causes", "expected"),
    [
        (NEW, [], "current"),
        (OLD, [], "due"),
        (None, [], "unknown"),
        (OLD, [reevaluation_cause(request(**OURS), NEW)], "tried"),
        (NEW, [reevaluation_cause(request(**OURS), NEW)], "current"),
        (OLD, [reevaluation_cause(request(**OURS), OLD)], "due"),
        (OLD, [reevaluation_cause(request(**{**OURS, "results": "o/m/another"}), NEW)], "due"),
    ],
    ids=["of this suite", "of another", "unknown", "tried", "tried and done", "other suite", "other result"],
)
def test_which_are_due(made_with: str | None, causes: list[str], expected: str) -> None:
    """A finished request with results of another suite is due, unless that result was put back for this suite."""
    assert reevaluation_status(request(**OURS, causes=causes), made_with, NEW) == expected


def test_the_same_commit_waits_again_after_everything_else_and_keeps_its_result() -> None:
    """A request that is put back keeps its result and gets low priority and a new attempt, once for each cause."""
    step = transitions.reevaluate_transition(request(**OURS), cause="suite:1:2")
    assert step is not None
    after = parse_request(PATH, written(step, request(**OURS)).encode())
    assert isinstance(after, Request)
    assert after.status is not None
    assert (after.status.value, after.file.revision) == ("PENDING_NEW_EVAL", "main")
    assert (after.file.steward.priority, after.file.steward.kept) == (
        "low",
        transitions.previous_result_of(request(**OURS)),
    )
    assert find_current_attempt(after) == CurrentAttempt(3, 3, SHA)
    assert transitions.reevaluate_transition(after, cause="suite:1:2") is None


def test_a_result_from_before_steward_is_of_what_its_file_asks_for() -> None:
    """A result from before Steward is of the revision in its request file, which is pinned only if it is a commit."""
    for revision, pinned in ((SHA, SHA), ("main", None)):
        before = request(asks=revision)
        step = transitions.reevaluate_transition(before, cause="suite:1:2", used=4)
        assert step is not None
        after = parse_request(PATH, written(step, before).encode())
        assert isinstance(after, Request)
        assert find_current_attempt(after) == CurrentAttempt(5, 5, pinned)
        assert after.file.steward.kept is not None
        assert after.file.steward.kept.revision == revision


@pytest.mark.parametrize("more", ["shows_new_evals: false", "front_end: react", "front_end: {statuses: [RERUN]}"])
def test_a_front_end_that_does_not_list_that_status_gets_another_one(more: str) -> None:
    """If the front end does not list PENDING_NEW_EVAL, the request becomes PENDING and keeps its earlier result."""
    before = request(**OURS)
    same = transitions.reevaluate_transition(before, cause="suite:1:2")
    newer = transitions.resubmit_transition(before, revision="c" * 40, cause="comment:7")
    for step in (same, newer):
        assert step is not None
        after = parse_request(PATH, written(step, before, more).encode())
        assert isinstance(after, Request)
        assert (after.file.status, after.file.steward.kept) == ("PENDING", transitions.previous_result_of(before))


def test_a_low_priority_ends_with_the_turn_that_it_was_for() -> None:
    """The low priority ends with the re-evaluation, whether it succeeds or fails."""
    before = request("RUNNING", **OURS, priority="low")
    previous = transitions.previous_result_of(before)
    assert previous is not None
    ends = [
        transitions.finish_transition(number=3, revision="b" * 40, results="o/m/newer", log=None, thread=None),
        transitions.restore_transition(previous, tried="b" * 40, failure=FAILURE, log=None, thread=None, number=3),
    ]
    for end in ends:
        assert "priority" not in json.loads(written(end, before))["steward"]
