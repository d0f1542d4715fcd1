"""The next step for a request, from its file and the state of its attempt, and the resulting request files."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from leaderboard import transitions
from leaderboard.attempts import Details, Failure, Outcome, attempt_id
from leaderboard.lifecycle import (
    AttemptFacts,
    AttemptLife,
    CurrentAttempt,
    Fail,
    Reopen,
    current_attempt_id,
    find_current_attempt,
    highest_used_number,
    next_step,
)
from leaderboard.request_history import since_asked_anew
from leaderboard.requests import Request, Status, parse_request
from leaderboard.steward_facts import PreviousResult
from tests.support.units.request_transitions import written

PATH, SHA, BOARD = "o/m_eval_request_False_float32_Original.json", "b" * 40, "demo"
SUITE, NEWER = "0" * 64, "1" * 64
FIRST, SECOND = (attempt_id(BOARD, PATH, SHA, number) for number in (1, 2))


def request(status: str, *, attempt: int = 0, job_id: Any = -1, **facts: Any) -> Request:
    """A request with this status, at this attempt."""
    steward = {"steward": {"attempt": attempt, "revision": SHA, **facts}} if attempt else {}
    fields = {"model": "o/m", "status": status, "job_id": job_id, "unknown": [1], **steward}
    parsed = parse_request(PATH, json.dumps(fields).encode())
    assert isinstance(parsed, Request)
    return parsed


def outcome(failure: Failure | None = None) -> Outcome:
    """The outcome of the first attempt."""
    details = None if failure else Details(repo="d/details_o__m", commit=SHA, results_path="results_x.json")
    return Outcome(
        attempt=FIRST,
        path=PATH,
        revision=SHA,
        suite="starter",
        suite_digest=SUITE,
        started=1,
        ended=2,
        phase="publish",
        details=details,
        failure=failure,
    )


OURS = Failure(cause="disk-full", fault="us", message="full")


@pytest.mark.parametrize(
    ("status", "attempt", "job", "life", "ended", "again", "step"),
    [
        ("PENDING", 0, -1, "unseen", None, False, "Admit"),
        ("RERUN", 2, -1, "unseen", None, False, "Admit"),
        ("PENDING_NEW_EVAL", 0, -1, "unseen", None, False, "Admit"),
        ("PENDING", 0, -1, "queued", None, False, "Wait"),
        ("PENDING", 0, -1, "handed-back", None, False, "Wait"),
        ("PENDING", 0, -1, "taken", None, False, "ConfirmClaim"),
        ("PENDING", 0, -1, "silent", None, False, "Admit"),
        ("PENDING", 0, -1, "ended", None, False, "Wait"),
        ("PENDING", 0, -1, "ended", outcome(), False, "Finish"),
        ("PENDING", 0, -1, "ended", outcome(OURS), True, "Reopen"),
        ("PENDING", 0, -1, "ended", outcome(OURS), False, "Fail"),
        ("RUNNING", 1, FIRST, "running", None, False, "ShowProgress"),
        ("RUNNING", 1, FIRST, "taken", None, False, "ConfirmClaim"),
        ("RUNNING", 1, FIRST, "handed-back", None, False, "Wait"),
        ("RUNNING", 1, FIRST, "queued", None, False, "Wait"),
        ("RUNNING", 1, FIRST, "ended", None, False, "Recover"),
        ("RUNNING", 1, FIRST, "ended", outcome(), False, "Finish"),
        ("RUNNING", 1, FIRST, "ended", outcome(OURS), True, "Reopen"),
        ("RUNNING", 1, FIRST, "ended", outcome(OURS), False, "Fail"),
        ("RUNNING", 1, FIRST, "silent", None, False, "Recover"),
        ("RUNNING", 1, FIRST, "unseen", None, False, "Recover"),
        ("RUNNING", 0, 4711, "unseen", None, False, "LeaveForeign"),
        ("RUNNING", 1, "4711", "unseen", None, False, "LeaveForeign"),
        ("FINISHED", 1, FIRST, "running", None, False, "NothingToDo"),
        ("FAILED", 1, FIRST, "ended", outcome(), False, "NothingToDo"),
        ("CANCELLED", 0, -1, "queued", None, False, "NothingToDo"),
        ("SOMETHING", 0, -1, "unseen", None, False, "LeaveForeign"),
    ],
)
def test_the_next_step_follows_from_the_file_and_the_attempts_state(
    status: str, attempt: int, job: Any, life: AttemptLife, ended: Outcome | None, again: bool, step: str
) -> None:
    """The next step follows from the request file, the state of its attempt and the attempt's outcome."""
    requested = request(status, attempt=attempt, job_id=job)
    current = current_attempt_id(BOARD, requested, find_current_attempt(requested), SHA)
    assert type(next_step(requested, current, AttemptFacts(life, ended, SUITE), may_try_again=again)).__name__ == step


@pytest.mark.parametrize(("again", "what"), [(True, Reopen), (False, Fail)])
@pytest.mark.parametrize(("status", "attempt", "job"), [("PENDING", 0, -1), ("RUNNING", 1, FIRST)])
def test_results_of_an_earlier_suite_count_as_none(
    status: str, attempt: int, job: Any, again: bool, what: type[Reopen | Fail]
) -> None:
    """If the board's suite changed during an attempt, its results are dropped and the fault is `us`."""
    requested = request(status, attempt=attempt, job_id=job)
    step = next_step(requested, FIRST, AttemptFacts("ended", outcome(), NEWER), may_try_again=again)
    assert isinstance(step, what) and step.outcome is not None
    assert (step.failure.cause, step.failure.fault) == ("suite-changed", "us")
    assert "from 000000000000 to 111111111111." in step.failure.message
    assert (step.outcome.ok, step.outcome.details, step.outcome.failure) == (False, None, step.failure)


def test_a_failure_is_the_same_by_any_suite() -> None:
    """The outcome of a failed attempt stays the same after the board's suite changed."""
    assert AttemptFacts("ended", outcome(OURS), NEWER).outcome == outcome(OURS)


def test_an_attempts_id_is_the_same_for_everybody_and_legal_in_rq() -> None:
    """The id depends only on board, path, revision and number, and is valid in RQ."""
    assert current_attempt_id(BOARD, request("PENDING"), CurrentAttempt(1, 1, None), SHA) == FIRST
    assert current_attempt_id(BOARD, request("RERUN", attempt=2), CurrentAttempt(2, 1, SHA), None) == SECOND
    assert FIRST != SECOND
    assert set(FIRST) <= set("0123456789abcdef-")
    assert current_attempt_id(BOARD, request("PENDING"), CurrentAttempt(1, 1, None), None) is None


def fields(text: str) -> dict[str, Any]:
    """Return the text as an object, after checking that unknown fields are preserved."""
    values: dict[str, Any] = json.loads(text)
    assert values["unknown"] == [1]
    return values


def test_the_claim_names_the_attempt() -> None:
    """A claim sets the status RUNNING, the attempt as job id, and its number, revision and thread."""
    now = CurrentAttempt(1, 1, None)
    step = transitions.claim_transition(
        request("PENDING"), attempt=FIRST, now=now, revision=SHA, thread=7, started="2026", cause="commit:1"
    )
    claimed = fields(written(step, request("PENDING")))
    assert (claimed["status"], claimed["job_id"], claimed["job_start_time"]) == ("RUNNING", FIRST, "2026")
    facts = {"attempt": 1, "first": 1, "spent": 1, "revision": SHA, "thread": 7, "causes": ["commit:1"]}
    assert claimed["steward"] == facts


def test_a_failure_is_never_silent_and_success_forgets_it() -> None:
    """A failed request has a failure and a log; once an attempt finishes, the request has results and no failure."""
    failed = written(
        transitions.fail_transition(failure=OURS, log="http://log", thread=7, number=1), request("RUNNING", attempt=1)
    )
    assert fields(failed)["steward"]["failure"]["cause"] == "disk-full"
    assert fields(failed)["steward"]["log"] == "http://log"
    again = parse_request(PATH, failed.encode())
    assert isinstance(again, Request)
    end = transitions.finish_transition(
        number=1, revision="a" * 40, results="o/m/results_x.json", log="http://log2", thread=None
    )
    finished = fields(written(end, again))
    assert finished["status"] == "FINISHED"
    assert finished["steward"]["results"] == "o/m/results_x.json"
    assert "failure" not in finished["steward"]
    assert finished["steward"]["thread"] == 7


def test_one_cause_reopens_a_request_once() -> None:
    """Reopening raises the number and notes the cause; the same cause again changes nothing."""
    before = request("RUNNING", attempt=1)
    step = transitions.reopen_transition(before, now=CurrentAttempt(1, 1, SHA), cause="c", failure=OURS, thread=None)
    assert step is not None
    text = written(step, before)
    assert fields(text)["steward"]["attempt"] == 2
    assert (fields(text)["status"], fields(text)["job_id"]) == ("RERUN", -1)
    again = parse_request(PATH, text.encode())
    assert isinstance(again, Request)
    assert find_current_attempt(again) == CurrentAttempt(2, 1, SHA)
    assert find_current_attempt(again).tries == 2
    assert (
        transitions.reopen_transition(again, now=CurrentAttempt(2, 1, SHA), cause="c", failure=OURS, thread=None)
        is None
    )


TURNS = [
    # what the file says, and what is known from elsewhere                                         number, first, pinned
    ("new", {"status": "PENDING"}, 0, (1, 1, None)),
    ("new file over ours", {"status": "PENDING"}, 3, (4, 4, None)),
    ("refused, put back", {"status": "PENDING", "failure": OURS.model_dump()}, 0, (1, 1, None)),
    ("refused after a relaunch, put back", {"status": "RERUN", "attempt": 1, "first": 1}, 0, (1, 1, SHA)),
    ("running", {"status": "RUNNING", "attempt": 2, "spent": 2, "job_id": SECOND}, 2, (2, 1, SHA)),
    ("ours to try again", {"status": "RERUN", "attempt": 2, "spent": 1}, 1, (2, 1, SHA)),
    ("ours, of a later submission", {"status": "RERUN", "attempt": 5, "first": 4, "spent": 4}, 4, (5, 4, SHA)),
    ("ended, put back", {"status": "PENDING", "attempt": 1, "spent": 1, "job_id": FIRST}, 1, (2, 2, None)),
    ("ended, put back, job id reset", {"status": "PENDING", "attempt": 1, "spent": 1}, 0, (2, 2, None)),
    ("ended, put back, from before `spent`", {"status": "RERUN", "attempt": 1, "job_id": FIRST}, 0, (2, 2, None)),
    ("ended, rerun for a newer evaluation", {"status": "PENDING_NEW_EVAL", "attempt": 1, "spent": 1}, 0, (2, 2, None)),
    ("cancelled while it ran, put back", {"status": "PENDING", "attempt": 2, "spent": 2}, 2, (3, 3, None)),
    ("ended unclaimed, put back", {"status": "PENDING", "attempt": 0, "spent": 1}, 0, (2, 2, SHA)),
    ("an older copy of the file", {"status": "RERUN", "attempt": 2, "spent": 1}, 4, (5, 5, None)),
    ("finished", {"status": "FINISHED", "attempt": 2, "spent": 2}, 2, (2, 1, SHA)),
    ("a first one from nowhere", {"status": "RERUN", "attempt": 2, "first": 900}, 0, (2, 2, SHA)),
]


@pytest.mark.parametrize(("fields_", "used", "expected"), [row[1:] for row in TURNS], ids=[row[0] for row in TURNS])
def test_which_attempt_is_the_current_one(fields_: dict[str, Any], used: int, expected: tuple[Any, ...]) -> None:
    """A claimed or ended number is not used again; a request that a person puts back starts with new tries."""
    outer = {"model": "o/m", "status": fields_["status"], "job_id": fields_.get("job_id", -1)}
    facts = {name: value for name, value in fields_.items() if name not in outer}
    steward = {"steward": {"revision": SHA, **facts}} if "attempt" in facts else {"steward": facts}
    parsed = parse_request(PATH, json.dumps({**outer, **steward}).encode())
    assert isinstance(parsed, Request)
    now = find_current_attempt(parsed, used)
    assert (now.number, now.first, now.revision) == expected
    if parsed.status is not None and parsed.status.waits:
        assert now.number > max(highest_used_number(parsed), used)


@given(
    status=st.sampled_from(["PENDING", "RERUN", "RUNNING", "FAILED", "FINISHED", "CANCELLED"]),
    attempt=st.integers(0, 9),
    spent_=st.integers(0, 9),
    first=st.integers(1, 9),
    used=st.integers(0, 9),
)
def test_each_claim_makes_its_number_unusable(status: str, attempt: int, spent_: int, first: int, used: int) -> None:
    """A request that was claimed and put back as pending gets the next higher number and its first try."""
    facts = {"attempt": attempt, "spent": spent_, "first": first, "revision": SHA}
    parsed = parse_request(PATH, json.dumps({"model": "o/m", "status": status, "steward": facts}).encode())
    assert isinstance(parsed, Request)
    now = find_current_attempt(parsed, used)
    assert 1 <= now.first <= now.number
    claim = transitions.claim_transition(parsed, attempt=FIRST, now=now, revision=SHA, thread=None, started="")
    back = json.dumps({**json.loads(written(claim, parsed)), "status": "PENDING", "job_id": -1})
    again = parse_request(PATH, back.encode())
    assert isinstance(again, Request)
    assert find_current_attempt(again).number == now.number + 1
    assert find_current_attempt(again).tries == 1


@pytest.mark.parametrize(
    ("front_end", "status"),
    [
        ("template", "RERUN"),
        ("gradio-v2", "RERUN"),
        ("react", "PENDING"),
        ("{name: react, statuses: [RERUN]}", "RERUN"),
        ("{statuses: []}", "PENDING"),
    ],
)
def test_a_relaunched_request_is_in_a_list_of_the_front_end(front_end: str, status: str) -> None:
    """A relaunched request is RERUN, or PENDING if the front end does not list RERUN; its next attempt is the same."""
    before = request("FAILED", attempt=3, spent=3)
    step = transitions.relaunch_transition(before, cause="comment:7")
    assert step is not None
    again = parse_request(PATH, written(step, before, f"front_end: {front_end}").encode())
    assert isinstance(again, Request)
    assert (again.file.status, find_current_attempt(again, 3)) == (status, CurrentAttempt(4, 4, None))


def test_a_refusal_before_the_attempt_uses_no_number() -> None:
    """A request that is refused before its attempt uses no number, even after several relaunches."""
    before = request("FAILED")
    for comment in range(2):
        step = transitions.relaunch_transition(before, cause=f"comment:{comment}")
        assert step is not None
        assert (step.facts["attempt"], step.facts["spent"]) == (1, 0)
        again = parse_request(PATH, written(step, before).encode())
        assert isinstance(again, Request)
        before = parse_request(
            PATH, written(transitions.fail_transition(failure=OURS, log=None, thread=None), again).encode()
        )
        assert isinstance(before, Request)
        assert highest_used_number(before) == 0


def test_a_retry_that_ended_before_a_worker_took_it_uses_its_number() -> None:
    """A retry that is cancelled or refused before it begins uses its number, so its pinned commit is not evaluated."""
    ended = request("CANCELLED", attempt=2, first=1, spent=1)
    assert highest_used_number(ended) == 2
    again = request("PENDING", attempt=2, first=1, spent=1)
    assert find_current_attempt(again, highest_used_number(ended)) == CurrentAttempt(3, 3, None)


def test_a_person_who_asks_for_another_try_gets_a_fresh_one_once() -> None:
    """A relaunch raises the number, forgets the pinned commit and the tries before it; its cause counts once."""
    before = request("FAILED", attempt=3, spent=3)
    step = transitions.relaunch_transition(before, cause="comment:7")
    assert step is not None
    again = parse_request(PATH, written(step, before).encode())
    assert isinstance(again, Request)
    assert (again.status, find_current_attempt(again, 3)) == (Status.RERUN, CurrentAttempt(4, 4, None))
    assert transitions.relaunch_transition(again, cause="comment:7") is None


@pytest.mark.parametrize(("more", "status"), [("", "PENDING_NEW_EVAL"), ("front_end: react", "PENDING")])
def test_a_retry_beside_an_earlier_result_is_for_the_failed_commit(more: str, status: str) -> None:
    """A retry after a failed newer evaluation keeps the earlier result and pins the commit that failed."""
    previous = PreviousResult(revision=SHA, results="o/m/results_x.json")
    restored = transitions.restore_transition(previous, tried="c" * 40, failure=OURS, log=None, thread=None, number=2)
    running = request("RUNNING", attempt=2)
    over = parse_request(PATH, written(restored, running).encode())
    assert isinstance(over, Request)
    assert (over.status, over.file.revision, over.tried) == (Status.FINISHED, SHA, "c" * 40)
    step = transitions.retry_transition(over, cause="report:7")
    assert step is not None
    again = parse_request(PATH, written(step, over, more).encode())
    assert isinstance(again, Request)
    assert (again.file.status, again.file.revision, again.file.steward.tried) == (status, "c" * 40, None)
    assert (find_current_attempt(again), again.file.steward.kept) == (CurrentAttempt(3, 3, None), previous)
    plain = transitions.retry_transition(request("FAILED", attempt=2), cause="report:7")
    assert plain is not None
    assert (plain.fields["status"], "revision" in plain.fields) == ("RERUN", False)


@pytest.mark.parametrize(
    ("causes", "counted"),
    [
        ([], []),
        (["report:7", "relaunch:1:8"], ["report:7", "relaunch:1:8"]),
        (["report:7", "resubmit:9", "relaunch:1:8"], ["relaunch:1:8"]),
        (["commit:abc", "report:7", "suite:1:2"], []),
        ([f"{FIRST}:gpu-lost", "resubmitted", "report:7"], [f"{FIRST}:gpu-lost", "resubmitted", "report:7"]),
    ],
)
def test_causes_count_since_people_asked_for_another_evaluation(causes: list[str], counted: list[str]) -> None:
    """Causes from before the last resubmission, new commit or new suite do not count."""
    assert since_asked_anew(causes) == counted


def test_the_end_of_an_attempt_is_recorded_in_an_overwritten_file_too() -> None:
    """If a new file overwrote a running request, the end of the attempt still adds its number and commit to it."""
    bare = request("PENDING")
    finished = transitions.finish_transition(
        number=2, revision="c" * 40, results="o/m/results_x.json", log=None, thread=None
    )
    facts = fields(written(finished, bare))["steward"]
    assert (facts["attempt"], facts["spent"], facts["revision"]) == (2, 2, "c" * 40)
    facts = fields(written(transitions.fail_transition(failure=OURS, log=None, thread=None, number=2), bare))["steward"]
    assert (facts["attempt"], facts["spent"]) == (2, 2)
