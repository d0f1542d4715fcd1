"""Renames that are approved while a person pushes or main changes: no unapproved change stays merged.

`make test` runs a few cases, `make chaos` a thousand.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

import pytest
from huggingface_hub.errors import HfHubHTTPError
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from bot.ledger.edits import blob_id
from bot.pulls import merging
from bot.pulls.approving import decide
from leaderboard.renames import plan
from localhub.testing import LocalHub
from steward.testing.board import REQUESTS, BoardDriver
from steward.valkey import Valkey
from tests.support.board.renames import (
    FILES,
    NEW,
    OLD,
    RESULT_FILES,
    RESULTS,
    comments,
    done,
    look_at,
    maintained,
    on_main,
    open_pull,
    path,
    prepare,
    push,
    rename_board,
    rename_world,
    request,
    requests_plan,
    result_path,
    results,
)

RIGHT = done(requests_plan().files)


@pytest.fixture(scope="module")
def stand(tmp_path_factory: pytest.TempPathFactory, valkey: Valkey) -> Iterator[BoardDriver]:
    """A board with Maya as maintainer."""
    with LocalHub(tmp_path_factory.mktemp("hub"), rename_world()) as hub:
        hub.state.limits.set(commits_per_hour=None)
        prepare(hub)
        with rename_board(hub, valkey) as driver:
            maintained(driver)
            yield driver


class Calls(list[tuple[str, str]]):
    """A record of the bot's calls that runs `then` right before call number `at`."""

    def __init__(self, at: int, then: Callable[[], object]) -> None:
        super().__init__()
        self.at, self.then = at, then

    def append(self, call: tuple[str, str]) -> None:
        if len(self) == self.at:
            super().append(call)
            self.then()
        else:
            super().append(call)


def begin(stand: BoardDriver) -> None:
    """Reset main to `FILES`, empty Redis, and sync."""
    wanted = {name: blob_id(data) for name, data in FILES.items()}
    there = on_main(stand)
    changes: dict[str, Any] = {name: None for name in there if name not in wanted}
    changes |= {name: FILES[name] for name in wanted if there.get(name) != wanted[name]}
    if changes:
        commit(stand, changes)
    stand.context.redis.flushall()
    stand.context.mark("requests")
    stand.work()


def commit(stand: BoardDriver, files: dict[str, Any]) -> None:
    """Commit `files` to main as the form does."""
    from tests.support.board.renames import operations

    stand.form.create_commit(REQUESTS, operations(files), commit_message="Change", repo_type="dataset")


PUSHES: dict[str, dict[str, Any]] = {
    "a parameter": {path(NEW): request(NEW, note="é", params=70.1)},
    "another file": {"evil.txt": b"x"},
    "another's request": {path("bob/other"): request("bob/other", params=1)},
    "one file less": {path(NEW, "4bit"): None},
    "another layout": {path(NEW): RIGHT[path(NEW)] + b"\n"},
}
BASES: dict[str, dict[str, Any]] = {
    "a new request": {path(OLD, "8bit"): request(OLD, "8bit")},
    "a field": {path(OLD): request(OLD, note="é", likes=3)},
    "something else": {"notes.txt": b"n"},
}


@pytest.mark.timeout(5_200)
@pytest.mark.parametrize("races", [8, pytest.param(1_000, marks=pytest.mark.long("each race takes half a second"))])
def test_no_unapproved_change_stays_merged_whenever_it_is_pushed(stand: BoardDriver, races: int) -> None:
    """After a push, or a commit to main, before any call of check or approval, main has all of the rename or none."""

    @settings(
        phases=[Phase.generate],  # no shrinking: each example takes half a second
        max_examples=races,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(
        seed=st.integers(0, 2**32),
        at=st.integers(0, 24),
        what=st.sampled_from([*PUSHES, *BASES]),
        early=st.booleans(),
    )
    def one_race(seed: int, at: int, what: str, early: bool) -> None:
        check_race(stand, seed, at, what, early=early)

    one_race()


def check_race(stand: BoardDriver, seed: int, at: int, what: str, *, early: bool) -> None:
    """Push or commit `what` before call number `at` of the check (`early`) or of the approval, and look at main."""
    begin(stand)
    number, head = open_pull(stand, RIGHT, title=f"Rename {OLD} to {NEW} {random.Random(seed).random()}")
    happened: list[str] = []

    def race() -> None:
        with suppress(HfHubHTTPError):
            if what in BASES:
                commit(stand, BASES[what])
            else:
                push(stand, number, PUSHES[what])
            happened.append(what)

    if early:
        stand.calls = Calls(at, race)
    look_at(stand, REQUESTS, number)
    if not early:
        stand.calls = Calls(at, race)
    decide(stand.context, stand.context.requests, number, head, "maya")
    stand.calls = []
    for _ in range(2):
        stand.time += 600
        look_at(stand, REQUESTS, number)
        stand.settle()
    there, base = on_main(stand), {name: blob_id(data) for name, data in FILES.items()}
    if happened and what in BASES:
        base |= {name: blob_id(data) for name, data in BASES[what].items()}
    renamed = {name: oid for name, oid in base.items() if RIGHT.get(name, b"") is not None}
    renamed |= {name: blob_id(data) for name, data in RIGHT.items() if data is not None}
    changed = {name: blob_id(data) for name, data in BASES.get(what, {}).items()}
    later = renamed | changed  # committed after the merge
    assert there in (base, renamed, later), what
    reports = [text for text in comments(stand, REQUESTS, number) if "demo pull " in text]
    assert len(reports) == 1
    assert ("### 🎉 Renamed" in reports[0]) == (path(NEW) in there)


def test_flags_follow_what_a_pull_request_renamed(stand: BoardDriver, monkeypatch: pytest.MonkeyPatch) -> None:
    """When the bot merges a rename, it renames the model's flags as well."""
    begin(stand)
    followed: list[tuple[str, ...]] = []
    monkeypatch.setattr("bot.pulls.rename_pulls.rename_flags", lambda _context, *words: followed.append(words))
    number, head = open_pull(stand, RIGHT, title=f"Rename {OLD} to {NEW}")
    look_at(stand, REQUESTS, number)
    assert decide(stand.context, stand.context.requests, number, head, "maya").merged
    assert [words[:2] for words in followed] == [(OLD, NEW)]


def test_a_push_between_the_last_look_and_the_merge_is_taken_back_in_both_repos(stand: BoardDriver) -> None:
    """In the requests and the results repo, the bot reverts a merge with an unchecked push, and says so."""
    begin(stand)
    wrong = {result_path(NEW): results(NEW, 0.99)}
    for repo, files, evil in (
        (REQUESTS, RIGHT, {path(NEW): request(NEW, note="é", params=70.1)}),
        (RESULTS, done(plan("results", OLD, NEW, RESULT_FILES).files), wrong),
    ):
        board = stand.context.requests if repo == REQUESTS else stand.context.results
        was = on_main(stand, repo)
        number, head = open_pull(stand, files, repo=repo)
        look_at(stand, repo, number)
        merge = stand.context.hub._post_once

        def late(at: str, route: str, body: object, repo: str = repo, number: int = number, **_: Any) -> Any:
            if route == "merge":
                push(stand, number, evil, repo=repo)  # noqa: B023
            return merge(at, route, body)  # noqa: B023

        stand.context.hub._post_once = late  # type: ignore[method-assign,assignment]
        answer = decide(stand.context, board, number, head, "maya")
        stand.context.hub._post_once = merge  # type: ignore[method-assign]
        assert "reverting it" in answer.text
        stand.time += 600
        stand.work()
        assert on_main(stand, repo) == was
        assert any("I am reverting this merge" in text for text in comments(stand, repo, number))


@pytest.mark.long("many pull requests, each disturbed at another moment; `make chaos` runs the file")
@pytest.mark.parametrize("kind", ["fail", "fail-after", "lose"])
def test_a_merge_that_is_answered_wrongly_is_told_as_it_is(stand: BoardDriver, kind: str) -> None:
    """If the Hub answers a merge with a false error or a false success, the report says what really happened."""
    begin(stand)
    number, head = open_pull(stand, RIGHT)
    look_at(stand, REQUESTS, number)
    if kind == "lose":
        send = stand.context.hub._post_once

        def nothing(at: str, route: str, body: object) -> Any:
            return None if route == "merge" else send(at, route, body)

        stand.context.hub._post_once = nothing  # type: ignore[method-assign,assignment]
    else:
        stand.hub.state.faults.add("POST */merge", kind, times=1, status=500)  # type: ignore[arg-type]
    try:
        if kind == "lose":
            with suppress(Exception):  # the Hub says that it merged, and shows it as open: tried again below
                decide(stand.context, stand.context.requests, number, head, "maya")
        else:
            assert decide(stand.context, stand.context.requests, number, head, "maya").merged
    finally:
        stand.hub.state.faults.clear()
        if kind == "lose":
            stand.context.hub._post_once = send  # type: ignore[method-assign]
    (report,) = [text for text in comments(stand, REQUESTS, number) if "demo pull " in text]
    assert ("Renamed" in report) == (path(NEW) in on_main(stand)) == (kind != "lose")
    if kind == "lose":
        assert decide(stand.context, stand.context.requests, number, head, "maya").merged


class Killed(BaseException):
    """Raised where the process would be killed."""


@pytest.mark.long("a process is killed at each of several steps; `make chaos` runs it")
@pytest.mark.parametrize("point", [merging.MERGED, merging.STAGED_BACK])
@pytest.mark.parametrize("amnesia", [False, True])
def test_the_next_process_finishes_what_a_killed_one_began(
    stand: BoardDriver, monkeypatch: pytest.MonkeyPatch, point: str, amnesia: bool
) -> None:
    """After a kill behind the merge or in its reversal, with or without Redis, the bot finishes and reports once."""
    begin(stand)
    was = on_main(stand)
    number, head = open_pull(stand, RIGHT)
    look_at(stand, REQUESTS, number)
    merge = stand.context.hub._post_once

    def late(at: str, route: str, body: object) -> Any:
        if route == "merge" and point == merging.STAGED_BACK:
            push(stand, number, PUSHES["a parameter"])
        return merge(at, route, body)

    def die(name: str) -> None:
        if name == point:
            raise Killed

    stand.context.hub._post_once = late  # type: ignore[method-assign,assignment]
    with monkeypatch.context() as patch:
        patch.setattr(merging, "pass_by", die)
        with pytest.raises(Killed):
            decide(stand.context, stand.context.requests, number, head, "maya")
    stand.context.hub._post_once = merge  # type: ignore[method-assign]
    if amnesia:
        stand.context.redis.flushall()
    stand.time += 600
    look_at(stand, REQUESTS, number)
    stand.time += 600
    stand.settle()
    (report,) = [text for text in comments(stand, REQUESTS, number) if "demo pull " in text]
    if point == merging.MERGED:
        assert "### 🎉 Renamed" in report
        assert path(NEW) in on_main(stand)
    else:
        assert "Reverted" in report
        assert on_main(stand) == was
