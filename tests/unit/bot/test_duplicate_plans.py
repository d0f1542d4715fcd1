"""The plan to withdraw one of two requests for the same evaluation, made from the files as they are now."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import Any, cast

import pytest

from bot.changes.duplicates import plan
from bot.core.context import BoardContext
from hub.records import Account, File, Repo
from leaderboard.reasons import Problem

KEEP, LOSE = "ada/Lion_eval_request_False_float16_Original.json", "ada/lion_eval_request_False_float16_Original.json"
WORDS = {"model": "ada/lion", "keep": KEEP, "lose": LOSE, "at": "2026-11-24T12:00:00Z"}
REQUESTS = Repo("dataset", "board/requests")


def context(**files: dict[str, Any]) -> BoardContext:
    """A board with two request files with these fields."""
    data = {
        path: json.dumps({"model": path.partition("_eval")[0], "status": "FINISHED", **fields}).encode()
        for path, fields in zip((KEEP, LOSE), files.values(), strict=True)
    }
    hub = SimpleNamespace(
        head=lambda _repo: "a" * 40,
        find_file=lambda _repo, path, head, max_bytes: File(path, data[path], "b" * 40, head),  # noqa: ARG005
    )
    board = SimpleNamespace(max_request_bytes=10_000)
    return cast(BoardContext, SimpleNamespace(hub=hub, board=board, me=lambda: Account("1", "bot")))


def test_the_repetition_is_withdrawn() -> None:
    """Of two requests for the same evaluation, the one without results is cancelled."""
    part = plan(context(keep={}, lose={"status": "FAILED"}), WORDS, REQUESTS)
    assert not isinstance(part, Problem)
    (file,) = part.files
    assert (file.path, json.loads(file.data)["status"]) == (LOSE, "CANCELLED")


@pytest.mark.parametrize(
    ("keep", "lose"),
    [
        ({"status": "CANCELLED"}, {"status": "FAILED"}),
        ({"revision": "c" * 40}, {"status": "FAILED"}),
        ({"status": "FAILED"}, {}),
        ({}, {"status": "CANCELLED"}),
    ],
)
def test_requests_that_are_no_longer_duplicates_are_not_withdrawn(keep: dict[str, Any], lose: dict[str, Any]) -> None:
    """Nothing is withdrawn if a request was cancelled or resubmitted, or the one to keep is now the worse one."""
    part = plan(context(keep=keep, lose=lose), WORDS, REQUESTS)
    assert isinstance(part, Problem)
    assert part.code == "not-double"
