"""What to do about a request: the rule as a table, and the texts that it leads to."""

from __future__ import annotations

import json
from typing import Any

import pytest

from leaderboard import transitions
from leaderboard.attempts import Details, Failure, Outcome, attempt_id
from leaderboard.lifecycle import Life, Seen, current_attempt, next_step
from leaderboard.requests import Request, parse_request

PATH, SHA, BOARD = "o/m_eval_request_False_float32_Original.json", "b" * 40, "demo"
FIRST, SECOND = (attempt_id(BOARD, PATH, SHA, number) for number in (1, 2))


def request(status: str, *, attempt: int = 0, job_id: Any = -1, **facts: Any) -> Request:
    """A request with this status, at this attempt."""
    steward = {"steward": {"attempt": attempt, "revision": SHA, **facts}} if attempt else {}
    fields = {"model": "o/m", "status": status, "job_id": job_id, "unknown": [1], **steward}
    found = parse_request(PATH, json.dumps(fields).encode())
    assert isinstance(found, Request)
    return found


def outcome(failure: Failure | None = None) -> Outcome:
    """The outcome of the first attempt."""
    details = None if failure else Details(repo="d/details_o__m", commit=SHA, results_path="results_x.json")
    return Outcome(
        attempt=FIRST,
        path=PATH,
        revision=SHA,
        suite="starter",
        suite_digest="0",
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
        ("PENDING", 0, -1, "taken", None, False, "Claim"),
        ("PENDING", 0, -1, "silent", None, False, "Admit"),
        ("PENDING", 0, -1, "ended", outcome(), False, "Finish"),
        ("PENDING", 0, -1, "ended", outcome(OURS), True, "Reopen"),
        ("PENDING", 0, -1, "ended", outcome(OURS), False, "Fail"),
        ("RUNNING", 1, FIRST, "running", None, False, "Watch"),
        ("RUNNING", 1, FIRST, "taken", None, False, "Claim"),
        ("RUNNING", 1, FIRST, "handed-back", None, False, "Wait"),
        ("RUNNING", 1, FIRST, "ended", outcome(), False, "Finish"),
        ("RUNNING", 1, FIRST, "ended", outcome(OURS), True, "Reopen"),
        ("RUNNING", 1, FIRST, "ended", outcome(OURS), False, "Fail"),
        ("RUNNING", 1, FIRST, "silent", None, False, "Recover"),
        ("RUNNING", 1, FIRST, "unseen", None, False, "Recover"),
        ("RUNNING", 0, 4711, "unseen", None, False, "Foreign"),
        ("RUNNING", 1, "4711", "unseen", None, False, "Foreign"),
        ("FINISHED", 1, FIRST, "running", None, False, "Settled"),
        ("FAILED", 1, FIRST, "ended", outcome(), False, "Settled"),
        ("CANCELLED", 0, -1, "queued", None, False, "Settled"),
        ("SOMETHING", 0, -1, "unseen", None, False, "Foreign"),
    ],
)
def test_the_step_follows_from_the_file_and_from_who_lives(
    status: str, attempt: int, job: Any, life: Life, ended: Outcome | None, again: bool, step: str
) -> None:
    """Each combination of what the file says and what Redis knows leads to one step."""
    found = request(status, attempt=attempt, job_id=job)
    current = current_attempt(BOARD, found, SHA)
    assert type(next_step(found, current, Seen(life, ended), may_try_again=again)).__name__ == step


def test_an_attempts_id_is_the_same_for_everybody_and_legal_in_rq() -> None:
    """The id depends on board, path, revision and number alone, and holds what RQ allows."""
    assert current_attempt(BOARD, request("PENDING"), SHA) == FIRST
    assert current_attempt(BOARD, request("RERUN", attempt=2), None) == SECOND
    assert FIRST != SECOND
    assert set(FIRST) <= set("0123456789abcdef-")
    assert current_attempt(BOARD, request("PENDING"), None) is None


def fields(text: str) -> dict[str, Any]:
    """The text as an object, which still holds what Steward does not know."""
    found: dict[str, Any] = json.loads(text)
    assert found["unknown"] == [1]
    return found


def test_the_claim_names_the_attempt() -> None:
    """RUNNING is written with the attempt as job id, its number, revision and thread."""
    step = transitions.claimed(attempt=FIRST, number=1, revision=SHA, thread=7, started="2026")
    found = fields(step.upon(request("PENDING")))
    assert (found["status"], found["job_id"], found["job_start_time"]) == ("RUNNING", FIRST, "2026")
    assert found["steward"] == {"attempt": 1, "revision": SHA, "thread": 7}


def test_a_failure_is_never_silent_and_success_forgets_it() -> None:
    """FAILED holds the failure and the log; FINISHED holds results and no failure any more."""
    failed = transitions.failed(failure=OURS, log="http://log", thread=7).upon(request("RUNNING", attempt=1))
    assert fields(failed)["steward"]["failure"]["cause"] == "disk-full"
    assert fields(failed)["steward"]["log"] == "http://log"
    again = parse_request(PATH, failed.encode())
    assert isinstance(again, Request)
    finished = fields(transitions.finished(results="o/m/results_x.json", log="http://log2", thread=None).upon(again))
    assert finished["status"] == "FINISHED"
    assert finished["steward"]["results"] == "o/m/results_x.json"
    assert "failure" not in finished["steward"]
    assert finished["steward"]["thread"] == 7


def test_one_cause_reopens_a_request_once() -> None:
    """Reopening raises the number and notes the cause; the same cause again changes nothing."""
    before = request("RUNNING", attempt=1)
    step = transitions.reopened(before, number=2, cause="c", failure=OURS, thread=None)
    assert step is not None
    text = step.upon(before)
    assert fields(text)["steward"]["attempt"] == 2
    assert (fields(text)["status"], fields(text)["job_id"]) == ("RERUN", -1)
    again = parse_request(PATH, text.encode())
    assert isinstance(again, Request)
    assert transitions.reopened(again, number=3, cause="c", failure=OURS, thread=None) is None
