"""Pull requests that change while the bot checks and merges them, merges that fail, and processes that die in between.

In the end every change on main was checked by the bot or merged by a person, and no comment is written twice.
`make chaos` runs every push before every call, `make test` a sample of both.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import httpx2
import pytest
import redis

from bot.ledger.edits import blob_id
from bot.pulls import merging, pull
from localhub.testing import LocalHub
from steward.testing.board import FORM, REQUESTS, BoardDriver
from tests.support.board.pull_requests import (
    PATH,
    board_on,
    bot_comments,
    comments_of_kind,
    fields,
    look,
    policy,
    propose,
    report,
    settled,
    thread,
)
from tests.support.long import long_except

ALARM = "pull-alarm"
LARGE = bytes(range(256)) * 50
KEPT = {"README.md": b"Ours.\n", "notes/a.txt": b"a", "notes/b.txt": b"b", "ours.bin": LARGE}
"""The files on main before each test."""


@pytest.fixture
def stand(hub: LocalHub, connection: redis.Redis) -> Iterator[BoardDriver]:
    """A board that merges pull requests that pass, with a few files on main."""
    with board_on(hub, connection, KEPT) as driver:
        policy(driver, "merge")
        yield driver


class Calls(list[tuple[str, str]]):
    """A record of the bot's calls that runs `then` once, right before the call for which `at` is true."""

    def __init__(self, at: Callable[[int, str], bool], then: Callable[[], object]) -> None:
        super().__init__()
        self.at, self.then = at, then
        self.done = False

    def append(self, call: tuple[str, str]) -> None:
        if not self.done and self.at(len(self), call[1]):
            self.done = True
            self.then()
        super().append(call)


def before(stand: BoardDriver, route: str, then: Callable[[], object], *, nth: int = 1) -> None:
    """Have `then` happen right before the bot's `nth` call of this route."""
    calls = {"of it": 0}

    def at(_: int, called: str) -> bool:
        calls["of it"] += called == route
        return called == route and calls["of it"] == nth

    stand.calls = Calls(at, then)


def on_main(stand: BoardDriver) -> dict[str, str]:
    """Return path → blob id of every file on main, except the Hub's own."""
    return {file.path: file.oid for file in stand.context.hub.list_files(stand.context.requests) if file.path[0] != "."}


PUSHES: dict[str, dict[str, Any]] = {
    "another status": {PATH: b'{"model": "ada/good", "status": "FINISHED"}'},
    "an extra file": {"evil.json": b"{}"},
    "another request": {PATH.replace("good", "evil"): b'{"model": "ada/evil", "status": "PENDING"}'},
    "a file of ours changed": {"README.md": b"Theirs.\n"},
    "a file of ours removed": {"README.md": None, "notes/a.txt": None},
    "a file in place of a folder": {"notes/a.txt": None, "notes/b.txt": None, "notes": b"file"},
    "the request taken out": {PATH: None, "x.txt": b"x"},
    "a large file": {"weights.bin": LARGE},
    "a large file of ours changed": {"ours.bin": LARGE * 2},
    "a large file of ours removed": {"ours.bin": None},
}


SOME = {"an extra file", "a file in place of a folder", "the request taken out", "a large file of ours changed"}
"""What `make test` pushes."""


@pytest.mark.long("many pull requests, each disturbed at another moment; `make chaos` runs the file")
@pytest.mark.parametrize("name", long_except(SOME, PUSHES, "another push at the same moment"))
def test_what_is_pushed_between_the_last_look_and_the_merge_is_taken_back(stand: BoardDriver, name: str) -> None:
    """The bot reverts a merge that contains an unchecked push, posts one alarm in the thread, and evaluates nothing."""
    stand.worker()
    was, commits = on_main(stand), stand.commits()
    number, head = propose(stand, {PATH: fields(stand)})
    before(stand, "merge", lambda: propose(stand, PUSHES[name], number=number))
    look(stand, number)
    stand.time += 60
    stand.settle()
    assert on_main(stand) == was
    (alarm,) = comments_of_kind(stand, number, ALARM)
    assert f"`{head[:8]}`" in alarm
    assert "Reverted" in report(stand, number)
    assert thread(stand, number).status == "merged"
    assert stand.queued() == []
    assert stand.context.index.count() == 0
    assert look(stand, number) == ["thread"]
    assert stand.commits() == commits + 2  # the merge, and its undoing


def test_what_people_changed_since_a_wrong_merge_is_left_to_them(stand: BoardDriver) -> None:
    """When the bot reverts a merge, a file that a person changed since then keeps that change."""
    number, _ = propose(stand, {PATH: fields(stand)})
    before(stand, "merge", lambda: propose(stand, {"README.md": b"Theirs.\n", "evil.txt": b"x"}, number=number))
    stage = stand.context.effects.stage

    def late(*args: Any, **more: Any) -> bool:
        stand.put("README.md", b"A maintainer's.\n")
        return stage(*args, **more)

    stand.context.effects.stage = late  # type: ignore[method-assign]
    look(stand, number)
    stand.time += 60
    stand.settle()
    assert on_main(stand)["README.md"] == blob_id(b"A maintainer's.\n")
    assert "evil.txt" not in on_main(stand)


@pytest.mark.parametrize("step", [2, pytest.param(1, marks=pytest.mark.long("before every call"))])
def test_no_push_between_any_two_calls_leaves_anything_unchecked_on_main(stand: BoardDriver, step: int) -> None:
    """With a push before any one call of checking and merging, main holds only checked files; the bot reports once."""
    stand.context.me()
    ends: list[str] = []
    for at in range(0, 15, step):
        was = on_main(stand)
        number, _ = propose(stand, {PATH: fields(stand, likes=at)})
        stand.calls = Calls(lambda count, _, at=at: count == at, lambda number=number: _push(stand, number))  # type: ignore[misc]
        look(stand, number)
        pushed = isinstance(stand.calls, Calls) and stand.calls.done
        stand.calls = []
        stand.time += 600
        stand.settle()
        look(stand, number)
        there = on_main(stand)
        ends.append(f"{thread(stand, number).status} {len(comments_of_kind(stand, number, ALARM))}")
        assert "evil.txt" not in there, at
        assert len(comments_of_kind(stand, number)) == 1
        if there != was:
            assert "exactly as I checked it" in report(stand, number)
            assert stand.file(PATH)["likes"] == at
            stand.form.delete_file(PATH, REQUESTS, repo_type="dataset")
            stand.settle()
        elif pushed and thread(stand, number).status == "open":
            assert "evil.txt" in report(stand, number)
    assert {"open 0", "merged 1", "merged 0"} <= set(ends)


def _push(stand: BoardDriver, number: int) -> None:
    """Push an unexpected change as Ada, if the pull request is still open."""
    if thread(stand, number).status != "merged":
        propose(stand, {"evil.txt": b"x"}, number=number)


@pytest.mark.long("many pull requests, each disturbed at another moment; `make chaos` runs the file")
@pytest.mark.parametrize("conflicts", [True, False])
def test_a_base_that_moves_before_the_merge_means_checking_anew(stand: BoardDriver, conflicts: bool) -> None:
    """If the request on main changes before the merge, the bot checks again and does not merge."""
    present = settled(stand)
    present |= {f"field{n}": n for n in range(20)} | {"last": 1}
    stand.put(PATH, json.dumps(present, indent=1).encode())
    sha = str(stand.ada.upload_file(path_or_fileobj=b"%d" % conflicts, path_in_repo="n", repo_id="ada/good").oid)
    again = {**present, "status": "PENDING", "revision": sha}
    number, _ = propose(stand, {PATH: json.dumps(again, indent=1).encode()})
    changed = {**present, "status": "RERUN"} if conflicts else {**present, "last": 2}
    before(stand, "paths-info", lambda: stand.put(PATH, json.dumps(changed, indent=1).encode()))
    look(stand, number)
    stand.time += 60
    stand.work()
    assert thread(stand, number).status == "open"
    assert ("conflicts" if conflicts else "A submission cannot change the field 'last'") in report(stand, number)
    assert stand.file(PATH) == changed
    assert look(stand, number) == ["thread"]


@pytest.mark.long("many pull requests, each disturbed at another moment; `make chaos` runs the file")
@pytest.mark.parametrize("kind", ["fail", "hang-after", "fail-after"])
def test_a_merge_that_is_answered_with_an_error_happens_once(stand: BoardDriver, kind: str) -> None:
    """If the merge call fails or hangs, before or after the merge happened, the bot merges once and reports it."""
    commits = stand.commits()
    number, _ = propose(stand, {PATH: fields(stand)})
    more = {"seconds": 0.3} if kind == "hang-after" else {"status": 500}
    stand.hub.state.faults.add("POST */merge", kind, times=1, **more)  # type: ignore[arg-type]
    look(stand, number)
    assert thread(stand, number).status == "merged"
    assert "exactly as I checked it" in report(stand, number)
    assert stand.commits() == commits + 1


@pytest.mark.long("many pull requests, each disturbed at another moment; `make chaos` runs the file")
@pytest.mark.parametrize(
    ("how", "route"), [("closed", "resolve"), ("closed", "merge"), ("deleted", "comment"), ("deleted", "merge")]
)
def test_a_pull_request_closed_or_deleted_meanwhile_is_not_merged(stand: BoardDriver, how: str, route: str) -> None:
    """If its author closes or deletes a pull request during the check, the bot merges and parks nothing."""
    number, _ = propose(stand, {PATH: fields(stand)})

    def leave() -> None:
        if how == "closed":
            stand.ada.change_discussion_status(REQUESTS, number, "closed", repo_type="dataset")
        else:
            at = f"{stand.hub.url}/api/datasets/{REQUESTS}/discussions/{number}"
            httpx2.delete(at, headers={"authorization": f"Bearer {FORM}"}).raise_for_status()

    before(stand, route, leave)
    look(stand, number)
    stand.time += 60
    stand.settle()
    assert PATH not in on_main(stand)
    assert stand.context.parking.all() == []
    assert stand.context.redis.hlen(stand.context.keys.pulls) == 0
    if how == "closed" and route == "resolve":
        assert bot_comments(stand, number) == 0


class Killed(BaseException):
    """Raised where the process would be killed."""


DEATHS = [
    (merging, merging.MERGED, False, False),
    (merging, merging.STAGED_BACK, True, True),
    (pull, pull.REPORTED, False, True),
    (merging, merging.MERGED, True, True),
    (merging, merging.STAGED_BACK, True, False),
]


@pytest.mark.long("a process is killed at each of several steps; `make chaos` runs it")
@pytest.mark.parametrize(("module", "point", "raced", "amnesia"), DEATHS)
def test_the_next_process_finishes_what_a_killed_one_began(
    stand: BoardDriver, monkeypatch: pytest.MonkeyPatch, module: Any, point: str, raced: bool, amnesia: bool
) -> None:
    """After a kill between two effects, with or without Redis, the merge or its reversal is reported exactly once."""
    was = on_main(stand)
    number, _ = propose(stand, {PATH: fields(stand)})
    if raced:
        before(stand, "merge", lambda: propose(stand, {"evil.txt": b"x"}, number=number))

    def die(name: str) -> None:
        if name == point:
            raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(module, "pass_by", die)
        with pytest.raises(Killed):
            look(stand, number)
    stand.context.redis.delete(stand.context.keys.dirty_leases)  # as they would expire
    if amnesia:
        stand.context.redis.flushall()
    stand.time += 600
    look(stand, number)
    stand.settle()
    assert len(comments_of_kind(stand, number)) == 1
    assert len(comments_of_kind(stand, number, ALARM)) == int(raced)
    assert set(on_main(stand)) == ({*was} if raced else {*was, PATH})
    assert ("Reverted" if raced else "Merged") in report(stand, number)


def test_a_maintainers_own_merge_at_the_same_moment_is_theirs(stand: BoardDriver) -> None:
    """If a maintainer merges by hand right before the bot, even with more files, the bot does not revert it."""
    number, _ = propose(stand, {PATH: fields(stand)})

    def theirs() -> None:
        propose(stand, {"more.txt": b"x"}, number=number)
        stand.form.merge_pull_request(REQUESTS, number, repo_type="dataset")

    before(stand, "comment", theirs)
    look(stand, number)
    stand.time += 60
    stand.settle()
    look(stand, number)
    assert {PATH, "more.txt"} <= set(on_main(stand))
    assert "by hand" in report(stand, number)
    assert comments_of_kind(stand, number, ALARM) == []
