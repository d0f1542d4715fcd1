"""The check of pull requests to the requests repo: which request files they may add or change."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from leaderboard.changes import FileChange, Kind
from leaderboard.requests import Request, parse_request
from leaderboard.submissions import (
    SUBMITTED_FIELDS,
    OtherFile,
    SubmittedFile,
    look_at_changed,
    look_at_new,
    same_commit,
    sort_changes,
)
from leaderboard.times import read_time

PATH = "org/model_eval_request_False_bfloat16_Original.json"
NOW = read_time("2026-11-25T12:00:00Z") or 0.0
OPENED = NOW - 3600.0
SHA, NEWER = "a" * 40, "b" * 40
NEW = {
    "model": "org/model",
    "base_model": "",
    "revision": "main",
    "private": False,
    "precision": "bfloat16",
    "weight_type": "Original",
    "status": "PENDING",
    "submitted_time": "2026-11-25T11:00:00Z",
    "params": 7,
    "job_id": -1,
    "job_start_time": None,
    "mystery": {"x": [1]},
}
ENDED = {**NEW, "status": "FINISHED", "job_id": "123", "steward": {"attempt": 2, "revision": SHA}}
ASKED = {**ENDED, "revision": NEWER}


def dumped(fields: Any) -> bytes:
    """A file that holds `fields`."""
    return fields if isinstance(fields, bytes) else json.dumps(fields).encode()


def new(fields: Any, path: str = PATH) -> SubmittedFile | OtherFile:
    """Check a new file."""
    return look_at_new(path, dumped(fields), opened=OPENED, now=NOW)


def again(after: Any, before: Any = None) -> SubmittedFile:
    """Check a changed file."""
    return look_at_changed(PATH, dumped(ENDED if before is None else before), dumped(after), opened=OPENED, now=NOW)


def codes(looked: SubmittedFile | OtherFile) -> list[str]:
    """Return the codes of the problems."""
    assert isinstance(looked, SubmittedFile)
    return [problem.code for problem in looked.problems]


def without(fields: dict[str, Any], *names: str) -> dict[str, Any]:
    """Return `fields` without `names`."""
    return {name: value for name, value in fields.items() if name not in names}


NEW_FILES = [
    ("as a form writes it", NEW, []),
    ("as little as possible", {"model": "org/model", "status": "PENDING"}, []),
    ("no time", without(NEW, "submitted_time"), []),
    ("a cluster's time", {**NEW, "submitted_time": "2026-11-24T09:45:44.755529"}, []),
    ("with dashes", {**NEW, "submitted_time": "2026-11-24T09-45-44.755529"}, []),
    ("another zone", {**NEW, "submitted_time": "2026-11-25T23:00:00Z"}, []),
    ("written days before", {**NEW, "submitted_time": "2026-11-20T00:00:00Z"}, []),
    ("two weeks before", {**NEW, "submitted_time": "2026-11-10T00:00:00Z"}, ["time-made-up"]),
    ("in two days", {**NEW, "submitted_time": "2026-11-27T12:00:01Z"}, ["time-made-up"]),
    ("before computers", {**NEW, "submitted_time": "0001-01-01T00:00:00Z"}, ["time-made-up"]),
    ("after everything", {**NEW, "submitted_time": "9999-12-31T23:59:59Z"}, ["time-made-up"]),
    ("no time at all", {**NEW, "submitted_time": "soon"}, ["time-made-up"]),
    ("done already", {**NEW, "status": "FINISHED"}, ["status-not-pending"]),
    ("before others", {**NEW, "status": "RERUN"}, ["status-not-pending"]),
    ("small letters", {**NEW, "status": "pending"}, ["status-not-pending"]),
    ("a job", {**NEW, "job_id": "0123456789ab-aaaaaaaa-1"}, ["field-of-the-board"]),
    ("job 0", {**NEW, "job_id": 0}, ["field-of-the-board"]),
    ("a start", {**NEW, "job_start_time": "2026-11-25T11:00:00"}, ["field-of-the-board"]),
    ("our facts", {**NEW, "steward": {}}, ["field-of-the-board"]),
    ("our facts, wrong", {**NEW, "steward": []}, ["field"]),
    ("all at once", {**NEW, "steward": {}, "job_id": 1, "status": "X", "submitted_time": ""}, None),
    ("deep", {**NEW, "x": json.loads("[" * 30 + "]" * 30)}, ["too-deep"]),
]


@pytest.mark.parametrize(("name", "fields", "found"), NEW_FILES, ids=[case[0] for case in NEW_FILES])
def test_what_a_new_request_may_say(name: str, fields: dict[str, Any], found: list[str] | None) -> None:
    """A new request must be PENDING, without the board's fields, and with a time near that of its pull request."""
    if found is None:
        expected = ["status-not-pending", "field-of-the-board", "field-of-the-board", "time-made-up"]
        assert sorted(codes(new(fields))) == sorted(expected)
    else:
        assert codes(new(fields)) == found


CHANGED_FILES = [
    ("at a new commit", {**ENDED, "status": "PENDING", "revision": NEWER}, None, []),
    ("at a new time", {**ENDED, "status": "PENDING", "submitted_time": "2026-11-25T11:30:00Z"}, None, []),
    ("as before", {**ENDED, "status": "PENDING"}, None, ["not-asked-anew"]),
    (
        "with every field of a form",
        {**ASKED, "status": "PENDING", **dict.fromkeys(SUBMITTED_FIELDS - set(NEW), None)},
        None,
        [],
    ),
    ("without our facts", without({**ASKED, "status": "PENDING"}, "steward", "job_id", "job_start_time"), None, []),
    ("as a form writes it anew", {**NEW, "revision": NEWER}, None, []),
    ("status kept", {**ASKED, "status": "FINISHED"}, None, ["status-not-pending"]),
    ("rerun", {**ASKED, "status": "RERUN"}, None, ["status-not-pending"]),
    ("facts changed", {**ASKED, "status": "PENDING", "steward": {"attempt": 2}}, None, ["field-of-the-board"]),
    ("facts emptied", {**ASKED, "status": "PENDING", "steward": {}}, None, ["field-of-the-board"]),
    (
        "true for one",
        {**ASKED, "status": "PENDING", "steward": {"attempt": True, "revision": SHA}},
        {**ENDED, "steward": {"attempt": 1, "revision": SHA}},
        ["field-of-the-board"],
    ),
    ("another job", {**ASKED, "status": "PENDING", "job_id": "124"}, None, ["field-of-the-board"]),
    ("job reset", {**ASKED, "status": "PENDING", "job_id": -1}, None, []),
    ("unknown changed", {**ASKED, "status": "PENDING", "mystery": {"x": [2]}}, None, ["field-of-others"]),
    ("unknown dropped", without({**ASKED, "status": "PENDING"}, "mystery"), None, ["field-of-others"]),
    ("unknown added", {**ASKED, "status": "PENDING", "more": None}, None, ["field-of-others"]),
    ("one that waits", {**ASKED, "status": "PENDING"}, {**ENDED, "status": "PENDING"}, ["not-settled"]),
    ("one that is to run again", {**ASKED, "status": "PENDING"}, {**ENDED, "status": "RERUN"}, ["not-settled"]),
    ("one that runs", {**ASKED, "status": "PENDING"}, {**ENDED, "status": "RUNNING"}, ["not-settled"]),
    ("with results to come", {**ASKED, "status": "PENDING"}, {**ENDED, "status": "PENDING_NEW_EVAL"}, ["not-settled"]),
    ("of another backend", {**ASKED, "status": "PENDING"}, {**ENDED, "status": "ODD"}, ["not-settled"]),
    ("withdrawn", {**ASKED, "status": "PENDING"}, {**ENDED, "status": "CANCELLED"}, []),
    ("failed", {**ASKED, "status": "PENDING"}, {**ENDED, "status": "FAILED"}, []),
    ("finished long ago", {**ASKED, "status": "PENDING"}, {**ENDED, "status": "FINISHED_2023"}, []),
    ("upon nonsense", {**ASKED, "status": "PENDING"}, b"{", ["before-unreadable"]),
    ("into nonsense", b"[]", None, ["not-an-object"]),
]


@pytest.mark.parametrize(
    ("name", "after", "before", "expected"), CHANGED_FILES, ids=[case[0] for case in CHANGED_FILES]
)
def test_what_a_resubmission_may_change(name: str, after: Any, before: Any, expected: list[str]) -> None:
    """Only ended requests may change, only in the fields of a submission, and only to PENDING."""
    assert codes(again(after, before)) == expected


@pytest.mark.parametrize(
    ("status", "sha", "code"),
    [
        ("FINISHED", SHA, "same-commit"),
        ("FAILED", SHA, "same-commit"),
        ("CANCELLED", SHA, None),
        ("FINISHED", NEWER, None),
        ("FAILED", None, None),
    ],
)
def test_the_same_commit_is_not_evaluated_again_for_the_asking(status: str, sha: str | None, code: str | None) -> None:
    """An evaluated commit cannot be submitted again; a cancelled one can."""
    before = parse_request(PATH, dumped({**ENDED, "status": status}))
    assert isinstance(before, Request)
    problem = same_commit(before, sha)
    assert (problem.code if problem else None) == code


CHANGES: list[tuple[FileChange, str]] = [
    (FileChange(PATH, "added", "100644"), ""),
    (FileChange(PATH, "changed", "100644"), ""),
    (FileChange(PATH, "changed", ""), ""),
    (FileChange("odd.json", "added", "100644"), ""),
    (FileChange("odd.json", "changed", "100644"), "is changed, but is no request"),
    (FileChange("README.md", "added", "100644"), "is new, but is no request"),
    (FileChange(PATH, "removed"), "is removed"),
    (FileChange(PATH, "renamed", "100644", "x.json"), "is renamed from x.json"),
    (FileChange(PATH, "copied", "100644", "x.json"), "is copied from x.json"),
    (FileChange(PATH, "added", "100755"), "is an executable file"),
    (FileChange(PATH, "added", "120000"), "is a symbolic link"),
    (FileChange(PATH, "added", "160000"), "is a link to another repo"),
    (FileChange(PATH, "added", "100644", is_text=False), "does not hold text"),
]


@pytest.mark.parametrize(("change", "does"), CHANGES)
def test_what_a_submission_does_to_files(change: FileChange, does: str) -> None:
    """A submission adds or changes plain text files with the name of a request; other changes are described."""
    touched = sort_changes([change])
    assert (touched.files, touched.others) == (((change,), ()) if not does else ((), (OtherFile(change.path, does),)))


def test_a_request_under_a_wrong_name_is_told_its_place() -> None:
    """A JSON file with a model and a wrong path gets a problem with the right path; any other file is no request."""
    looked = new(NEW, "model.json")
    assert codes(looked) == ["misplaced"]
    assert isinstance(looked, SubmittedFile)
    assert PATH in looked.problems[0].advice
    assert codes(new({"model": "x"}, "model.json")) == ["misnamed"]
    for other in (b"{", b"[]", b'{"model": 1}', b"\xff", b"[" * 100_000):
        assert isinstance(new(other, "model.json"), OtherFile)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
FIELDS = st.dictionaries(st.sampled_from([*NEW, "steward", "x"]), JSON, max_size=4)


@given(FIELDS, st.sampled_from([PATH, "model.json", "a/b/c_eval_request_x.json"]))
def test_no_new_file_breaks_the_rule(fields: dict[str, Any], path: str) -> None:
    """Any new file gives a verdict, and a submission that passes waits and claims no result."""
    looked = new({**NEW, **fields}, path)
    if isinstance(looked, SubmittedFile) and not looked.problems:
        assert looked.request is not None
        assert looked.request.file.status == "PENDING"
        assert "steward" not in json.loads(looked.request.raw)


@given(FIELDS, st.sets(st.sampled_from(sorted(ENDED)), max_size=3))
def test_an_accepted_resubmission_changes_only_fields_of_a_submission(
    fields: dict[str, Any], dropped: set[str]
) -> None:
    """An accepted resubmission leaves all other fields as they were, or resets those that the bot maintains."""
    after = without({**ENDED, "status": "PENDING", **fields}, *dropped)
    looked = again(after)
    if looked.problems:
        return
    assert after["status"] == "PENDING"
    for name in {*after, *ENDED} - SUBMITTED_FIELDS:
        resets = {"steward": ["absent"], "job_id": ["absent", None, -1], "job_start_time": ["absent", None]}.get(
            name, []
        )
        assert after.get(name, "absent") in [ENDED.get(name, "absent"), *resets]


@given(st.lists(st.sampled_from(["added", "changed", "removed", "renamed", "copied"]), max_size=20))
def test_every_change_is_one_or_the_other(kinds: list[Kind]) -> None:
    """Request files that a pull request adds or changes may be submissions; other changes are reported, in order."""
    changes = [FileChange(f"{at}{PATH}", kind, old_path="x") for at, kind in enumerate(kinds)]
    touched = sort_changes(changes)
    assert [change.path for change in touched.files] == [
        change.path for change in changes if change.kind in ("added", "changed")
    ]
    assert [other.path for other in touched.others] == [
        change.path for change in changes if change.kind not in ("added", "changed")
    ]
