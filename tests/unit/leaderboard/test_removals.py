"""Removals: the edit of a request file, and its reversal."""

from __future__ import annotations

import json
from typing import Any

import pytest

from leaderboard.holds import Hold
from leaderboard.reasons import Problem
from leaderboard.removals import (
    ARCHIVE,
    FORMER_ARCHIVE,
    REMOVED,
    archived,
    original_path,
    remove_request,
    restore_request,
)
from leaderboard.renames import FilePlan
from leaderboard.requests import Request, Status, parse_request
from leaderboard.steward_facts import OURS, ours_in

PATH = "ada/lion_eval_request_False_float16_Original.json"
OLD, NEW = "ada/lion/results_2026-01-01T00-00-00.000000.json", "ada/lion/results_2026-02-01T00-00-00.000000.json"
WHY = Hold(reason="the weights were wrong", by="maya", at="2026-03-01T00:00:00Z")


def read(data: bytes) -> Request:
    """The request in a file's bytes."""
    parsed = parse_request(PATH, data)
    assert isinstance(parsed, Request)
    return parsed


def finished(**ours: Any) -> Request:
    """Return a finished request with these facts."""
    return read(json.dumps({"model": "ada/lion", "status": "FINISHED", OURS: ours}).encode())


def done(plan: object) -> Request:
    """The request as a plan leaves it."""
    assert isinstance(plan, FilePlan)
    return read(plan.data)


def test_what_was_submitted_again_after_its_removal_can_be_removed_again() -> None:
    """A request that was removed, submitted and removed again is restored with its latest results."""
    first = done(remove_request(finished(results=OLD), WHY))
    assert (first.status, first.file.steward.results) == (Status.CANCELLED, None)
    assert remove_request(first, WHY) is None, "it is removed already"
    again = finished(**{REMOVED: ours_in(first.fields)[REMOVED], "results": NEW})
    second = done(remove_request(again, WHY))
    assert (second.status, second.file.steward.results) == (Status.CANCELLED, None)
    back = done(restore_request(second))
    assert (back.status, back.file.steward.results) == (Status.FINISHED, NEW)


def test_what_was_submitted_again_and_withdrawn_is_restored_at_its_earlier_commit() -> None:
    """A removed request that was submitted again and withdrawn is restored with the commit of its results."""
    old, new = "a" * 40, "b" * 40
    raw = {"model": "ada/lion", "status": "FINISHED", "revision": old, OURS: {"results": OLD, "revision": old}}
    removed = done(remove_request(read(json.dumps(raw).encode()), WHY))
    ours = {**ours_in(removed.fields), "revision": new, "cancelled": {**WHY.model_dump(), "by": "ada"}}
    again = read(json.dumps({**removed.fields, "revision": new, OURS: ours}).encode())
    back = done(restore_request(again))
    assert (back.status, back.file.revision) == (Status.FINISHED, old)
    assert ours_in(back.fields) == {"results": OLD, "revision": old}


def test_a_removal_by_an_earlier_version_is_restored() -> None:
    """A removal by an earlier version, which saved fewer facts, is restored; facts that it did not save stay."""
    saved = {"status": "FINISHED", "results": OLD, "kept": None, "cancelled": None}
    ours = {"revision": "a" * 40, "cancelled": WHY.model_dump(), REMOVED: saved}
    raw = {"model": "ada/lion", "status": "CANCELLED", "revision": "main", OURS: ours}
    back = done(restore_request(read(json.dumps(raw).encode())))
    assert (back.status, back.file.revision) == (Status.FINISHED, "main")
    assert ours_in(back.fields) == {"revision": "a" * 40, "results": OLD}


@pytest.mark.parametrize(
    ("status", "is_removable"),
    [
        ("FINISHED", True),
        ("FAILED", True),
        ("CANCELLED", True),
        ("PENDING", False),
        ("RERUN", False),
        ("RUNNING", False),
        ("unheard of", False),
    ],
)
def test_only_a_request_that_has_ended_is_removed(status: str, is_removable: bool) -> None:
    """A request that waits, runs or has an unknown status is left, and the problem names its status."""
    request = read(json.dumps({"model": "ada/lion", "status": status}).encode())
    removal = remove_request(request, WHY)
    assert isinstance(removal, FilePlan) == is_removable
    if isinstance(removal, Problem):
        assert status in removal.message


@pytest.mark.parametrize("path", ["ada/lion/results_1.json", "ada/lion/table.md", "ada/lion/x.removed"])
def test_the_path_of_an_archived_file_tells_where_it_was(path: str) -> None:
    """The original path is read from a path in the present or former archive; archived names never end in `.json`."""
    assert not archived(path).endswith(".json")
    assert original_path(archived(path)) == original_path(FORMER_ARCHIVE + path) == path
    assert original_path(path) is None
    assert original_path(f"{ARCHIVE}by-hand.txt") is None
