"""What the bot reads from a webhook delivery: only which repo or thread to sync."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.core.context import thread_key, thread_of
from bot.intake.deliveries import VERDICTS, DirtyMark, digest_id, is_delivery_id, read_delivery
from hub.records import Repo
from leaderboard.boards import parse_board
from redis_state.dirty import SyncPriority

BOARD = parse_board("""
name: demo
title: Demo
suite: starter
repos: {requests: board/Requests, results: board/results, logs: board/logs, community: board/space,
        details_namespace: board-details}
""")
REQUESTS = {"type": "dataset", "name": "board/Requests"}
SPACE = {"type": "space", "name": "board/space"}
PERSON = "a" * 24
WRITTEN = {"author": {"id": PERSON}, "content": "/status", "hidden": False}


def read(repo: dict[str, Any], scope: str, action: str = "update", **more: Any) -> tuple[str, list[tuple[str, int]]]:
    """The verdict on a delivery, and the key and priority of each of its marks."""
    delivery = read_delivery(
        json.dumps({"event": {"action": action, "scope": scope}, "repo": repo, **more}).encode(), BOARD
    )
    return delivery.verdict, [(mark.key, int(mark.priority)) for mark in delivery.marks]


@pytest.mark.parametrize(
    ("repo", "scope", "action", "more", "verdict", "marks"),
    [
        (
            REQUESTS,
            "repo.content",
            "update",
            {"updatedRefs": [{"ref": "refs/heads/main"}]},
            "requests",
            [("requests", 0)],
        ),
        ({**REQUESTS, "name": "BOARD/requests"}, "repo.content", "update", {}, "requests", [("requests", 0)]),
        (
            REQUESTS,
            "repo.content",
            "update",
            {"updatedRefs": [{"ref": "refs/pr/7"}]},
            "thread",
            [("thread:dataset/board/Requests:7", 1)],
        ),
        (REQUESTS, "repo.content", "update", {"updatedRefs": [{"ref": "refs/pr/07"}, 3, None]}, "irrelevant", []),
        (
            REQUESTS,
            "discussion.comment",
            "create",
            {"discussion": {"num": 12}, "comment": WRITTEN},
            "thread",
            [("thread:dataset/board/Requests:12", 0)],
        ),
        (SPACE, "discussion", "create", {"discussion": {"num": 3}}, "thread", [("thread:space/board/space:3", 0)]),
        (SPACE, "discussion", "update", {"discussion": {"num": 3}}, "thread", [("thread:space/board/space:3", 1)]),
        (SPACE, "discussion", "create", {"discussion": {"num": True}}, "irrelevant", []),
        (SPACE, "discussion", "create", {"discussion": {"num": -3}}, "irrelevant", []),
        (SPACE, "discussion", "create", {"discussion": "3"}, "irrelevant", []),
        (SPACE, "repo.content", "update", {"updatedRefs": [{"ref": "refs/heads/main"}]}, "irrelevant", []),
        ({**SPACE, "name": "board/Requests"}, "repo.content", "update", {}, "irrelevant", []),
        (
            {"type": "dataset", "name": "board/logs"},
            "discussion",
            "create",
            {"discussion": {"num": 3}},
            "irrelevant",
            [],
        ),
        (
            {"type": "dataset", "name": "board/results"},
            "discussion",
            "create",
            {"discussion": {"num": 3}},
            "thread",
            [("thread:dataset/board/results:3", 0)],
        ),
        (REQUESTS, "repo", "update", {}, "irrelevant", []),
    ],
)
def test_a_delivery_marks_the_requests_or_the_thread_that_changed(
    repo: dict[str, Any], scope: str, action: str, more: dict[str, Any], verdict: str, marks: list[tuple[str, int]]
) -> None:
    """Commits on main mark the requests; pushes to pull requests and comments mark their thread."""
    assert read(repo, scope, action, **more) == (verdict, marks)


def test_threads_are_named_as_the_syncs_name_them() -> None:
    """The inbox and the syncs use the same key for a thread."""
    _, [(key, _)] = read(SPACE, "discussion", discussion={"num": 31})
    space = Repo("space", "board/space")
    assert key == thread_key(space, 31)
    assert thread_of(key.removeprefix("thread:")) == (space, 31)


@pytest.mark.parametrize(
    ("comment", "author"),
    [
        (WRITTEN, PERSON),
        ({**WRITTEN, "hidden": True}, ""),
        ({"author": {"id": PERSON}}, ""),
        ({**WRITTEN, "author": PERSON}, ""),
        (None, ""),
    ],
)
def test_who_wrote_a_comment_is_told_unless_it_was_hidden(comment: Any, author: str) -> None:
    """The author of a comment is read unless it is hidden, because a hidden comment of the bot must start a sync."""
    delivery = {
        "event": {"scope": "discussion.comment"},
        "repo": REQUESTS,
        "discussion": {"num": 1},
        "comment": comment,
    }
    assert read_delivery(json.dumps(delivery).encode(), BOARD).author == author


@pytest.mark.parametrize(
    ("repo", "scope", "quota_source"),
    [
        (REQUESTS, "repo.content", ("repo.content", "board/Requests")),
        (REQUESTS, "discussion.comment", ("discussion", "board/Requests")),
        ({"type": "dataset", "name": "board/logs"}, "repo.config", ("repo.content", "board/logs")),
        ({"type": "dataset", "name": "else/where"}, "repo.content", None),
    ],
)
def test_the_quota_that_a_delivery_spent_is_that_of_its_webhook(repo: Any, scope: str, quota_source: Any) -> None:
    """A delivery counts against the quota of the webhook for its repo and domain; a repo of others has none."""
    assert (
        read_delivery(json.dumps({"event": {"scope": scope}, "repo": repo}).encode(), BOARD).quota_source
        == quota_source
    )


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=10,
)
parts = st.fixed_dictionaries(
    {},
    optional={
        "event": st.fixed_dictionaries(
            {}, optional={"scope": st.sampled_from(["repo.content", "discussion"]) | json_values, "action": json_values}
        )
        | json_values,
        "repo": st.just(REQUESTS) | json_values,
        "discussion": st.fixed_dictionaries({"num": json_values}) | json_values,
        "comment": st.fixed_dictionaries({"author": json_values, "content": json_values}) | json_values,
        "updatedRefs": st.lists(st.fixed_dictionaries({"ref": st.text()}) | json_values) | json_values,
    },
)


@given(parts)
def test_any_json_payload_gets_a_verdict(payload: dict[str, Any]) -> None:
    """Any JSON value in any place of a delivery gets a valid verdict, and keys without line breaks."""
    delivery = read_delivery(json.dumps(payload).encode(), BOARD)
    assert delivery.verdict in VERDICTS
    assert all("\n" not in mark.key and isinstance(mark.priority, SyncPriority) for mark in delivery.marks)


@given(st.binary())
def test_no_bytes_are_too_strange(body: bytes) -> None:
    """A body of arbitrary bytes marks nothing."""
    assert read_delivery(body, BOARD).marks == ()


def test_a_delivery_with_ten_thousand_refs_marks_no_more_than_a_thousand() -> None:
    """A delivery with 10,000 refs marks at most 1,000 threads, so that its sender cannot fill Redis."""
    _, marks = read(REQUESTS, "repo.content", updatedRefs=[{"ref": f"refs/pr/{n}"} for n in range(1, 10_001)])
    assert len(marks) == 1_000


@pytest.mark.parametrize(
    ("header", "good"), [("one", True), ("", False), (None, False), ("a\nb", False), ("x" * 201, False)]
)
def test_an_id_is_short_and_printable(header: str | None, good: bool) -> None:
    """A delivery id must be short and printable; the digest of the body, which replaces any other, is valid."""
    assert is_delivery_id(header) is good
    assert is_delivery_id(digest_id(b"{}"))


def test_marks_are_values() -> None:
    """Two marks with the same fields are equal and have the same hash."""
    assert len({DirtyMark("a", SyncPriority.PERSON), DirtyMark("a", SyncPriority.PERSON)}) == 1
