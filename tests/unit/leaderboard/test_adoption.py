"""Adoption of an existing board: which files and threads count as old, and the failure shown for old requests."""

from __future__ import annotations

import json
from typing import Any

import pytest

from leaderboard.adoption import AdoptingAccount, AdoptionRecord, BadRecord, is_old, old_failure, parse_record
from leaderboard.requests import Request, parse_request

PATH = "o/m_eval_request_False_float16_Original.json"
ONE, TWO = "1" * 40, "2" * 40
RECORD = AdoptionRecord(
    board="demo",
    at="2026-11-24T12:00:00Z",
    by=AdoptingAccount(id="u1", name="maya"),
    commits={"o/requests": ONE},
    threads={"dataset/o/requests": 12},
    files=3,
)


def request(**fields: Any) -> Request:
    """A readable request."""
    parsed = parse_request(PATH, json.dumps({"model": "o/m", "status": "FAILED", **fields}).encode())
    assert isinstance(parsed, Request)
    return parsed


OLD = [
    (ONE, ONE, {}, True),
    (ONE, TWO, {}, False),
    (None, ONE, {}, False),
    (ONE, ONE, {"steward": {}}, True),
    (ONE, ONE, {"steward": {"attempt": 0}}, True),
    (ONE, ONE, {"steward": {"attempt": 2}}, False),
    (ONE, TWO, {"steward": {"attempt": 2}}, False),
]


@pytest.mark.parametrize(("adopted", "now", "fields", "old"), OLD)
def test_a_file_is_old_while_it_is_unchanged_since_adoption(
    adopted: str | None, now: str, fields: dict[str, Any], old: bool
) -> None:
    """A request file is old if it has not changed since the board's adoption and the bot had made no attempt for it."""
    assert is_old(adopted, now, request(**fields)) is old


def test_an_unreadable_file_can_be_old_too() -> None:
    """An unreadable file that is unchanged since adoption counts as old as well."""
    assert is_old(ONE, ONE, None)
    assert not is_old(None, ONE, None)


def test_threads_up_to_the_highest_number_are_old() -> None:
    """One number separates the old threads of a repo from new ones; other repos are not affected."""
    assert RECORD.is_old_thread("dataset/o/requests", 12)
    assert not RECORD.is_old_thread("dataset/o/requests", 13)
    assert not RECORD.is_old_thread("space/o/board", 1)


def test_a_record_comes_back_as_it_was_written() -> None:
    """An adoption record is read back as it was written; fields added by a later version are ignored."""
    written = json.loads(RECORD.model_dump_json())
    data = json.dumps({**written, "more": 1}).encode()
    assert parse_record(data) == parse_record(data, RECORD.board) == RECORD


def test_a_record_of_another_board_is_refused() -> None:
    """A board does not work by the record of another one."""
    with pytest.raises(BadRecord, match="this installation serves 'other'"):
        parse_record(RECORD.model_dump_json().encode(), "other")


WRONG = [
    b"",
    b"[]",
    b"{}",
    b"\xff",
    json.dumps({**json.loads(RECORD.model_dump_json()), "v": 2}).encode(),
    json.dumps({**json.loads(RECORD.model_dump_json()), "commits": {"o/requests": "main"}}).encode(),
    json.dumps({**json.loads(RECORD.model_dump_json()), "at": "in autumn"}).encode(),
]


@pytest.mark.parametrize("data", WRONG)
def test_what_is_no_record_is_refused(data: bytes) -> None:
    """An invalid adoption record raises an error, because treating it as missing would make every file count as new."""
    with pytest.raises(BadRecord, match="adoption"):
        parse_record(data)


@pytest.mark.parametrize(("adopted", "day"), [("2026-11-24T08:00:00Z", " on 2026-11-24,"), ("", "this board,")])
def test_old_failures_say_that_no_log_was_kept(adopted: str, day: str) -> None:
    """The failure gives the date of adoption, if known, and says that there is no log."""
    failure = old_failure(adopted)
    assert day in failure.message
    assert "no log" in failure.message
