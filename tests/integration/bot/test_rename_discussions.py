"""Discussions that ask for a rename by a link to its pull request, and pull requests that do a part of a rename."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from bot.pulls.approving import decide
from leaderboard.renames import plan
from localhub.testing import LocalHub
from redis_state.dirty import SyncPriority
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
    operations,
    path,
    prepare,
    push,
    rename_board,
    rename_world,
    request,
    requests_plan,
    result_path,
)

FORMER = "old/requests"


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalHub]:
    """The Hub that all tests of this module share; its requests repo had another name before."""
    made_of = rename_world()
    for repo in made_of["repos"]:
        repo |= {"aliases": [FORMER]} if repo["id"] == REQUESTS else {}
    with LocalHub(tmp_path_factory.mktemp("hub"), made_of) as started:
        prepare(started)
        yield started


@pytest.fixture
def stand(hub: LocalHub, valkey: Valkey) -> Iterator[BoardDriver]:
    """A board with Maya as maintainer, whose files are reset for each test."""
    with rename_board(hub, valkey) as driver:
        maintained(driver)
        yield driver


def discuss(stand: BoardDriver, number: int, *, repo: str = REQUESTS, who: str = "ada") -> int:
    """Open a discussion as Ada or Bob that links a pull request, and sync it; return its number."""
    text = f"Please: {stand.hub.url}/datasets/{repo}/discussions/{number}"
    api = stand.ada if who == "ada" else stand.bob
    opened = api.create_discussion(REQUESTS, "Rename my model", description=text, repo_type="dataset")
    look_at(stand, REQUESTS, opened.num)
    return int(opened.num)


def talk(stand: BoardDriver, title: str, *texts: str) -> int:
    """Open a discussion as Ada, comment the further texts, and sync after each; return its number."""
    first, *later = texts
    number = int(stand.ada.create_discussion(REQUESTS, title, description=first, repo_type="dataset").num)
    look_at(stand, REQUESTS, number)
    for text in later:
        stand.ada.comment_discussion(REQUESTS, number, comment=text, repo_type="dataset")
        look_at(stand, REQUESTS, number)
    stand.settle()
    return number


def link(stand: BoardDriver, number: int) -> str:
    """The address of a pull request."""
    return f"{stand.hub.url}/datasets/{REQUESTS}/discussions/{number}"


def status(stand: BoardDriver, number: int) -> str:
    """The status of a thread of the requests repo."""
    return str(stand.form.get_discussion_details(REQUESTS, number, repo_type="dataset").status)


def test_too_many_results_files_for_a_rename_are_reported(stand: BoardDriver, monkeypatch: pytest.MonkeyPatch) -> None:
    """For a model with too many results files, the reply to `/rename` gives their number and the limit."""
    monkeypatch.setattr("bot.changes.rename_sources.MAX_RESULTS_FILES", 0)
    opened = stand.ada.create_discussion(REQUESTS, "Hello", description="Hm.", repo_type="dataset")
    stand.ada.comment_discussion(REQUESTS, opened.num, comment=f"/rename {OLD} {NEW}", repo_type="dataset")
    look_at(stand, REQUESTS, opened.num)
    assert "3 files of results; the limit is 0" in comments(stand, REQUESTS, opened.num)[-1]


def test_the_owner_asks_for_a_rename_in_a_discussion(stand: BoardDriver) -> None:
    """Bob's pull request that renames Ada's model passes once Ada asks for it in a discussion.

    The bot answers each discussion once, and closes it when the pull request is merged.
    """
    number, head = open_pull(stand, done(requests_plan("ada/twin", "ada/twin-two").files))
    look_at(stand, REQUESTS, number)
    assert "I cannot see that bob may write to both" in comments(stand, REQUESTS, number)[0]
    stranger = discuss(stand, number, who="bob")
    assert "Not yet" in comments(stand, REQUESTS, number)[0]
    asked = discuss(stand, number)
    assert "ada may write to both" in comments(stand, REQUESTS, number)[0]
    for thread in (asked, stranger):
        look_at(stand, REQUESTS, thread)
        (answer,) = comments(stand, REQUESTS, thread)
        assert "a maintainer decides" in answer
    assert decide(stand.context, stand.context.requests, number, head, "maya").merged
    stand.work()
    for thread in (asked, stranger):
        assert status(stand, thread) == "closed"
        assert "ada/twin to ada/twin-two" in comments(stand, REQUESTS, thread)[-1]
    before = len(comments(stand, REQUESTS, asked))
    look_at(stand, REQUESTS, asked)
    assert len(comments(stand, REQUESTS, asked)) == before
    discuss(stand, 999_999)
    assert stand.context.redis.keys(stand.context.keys.pull_links("*")) == [], (
        "links to merged or missing pull requests are still stored"
    )


@pytest.mark.long("a board and a renamed model for one more way of asking")
@pytest.mark.parametrize(
    ("title", "post", "answers"),
    [
        ("Model rename", "I used the renamer tool.", 0),
        ("How can I rename my model?", "I need to rename it.", 1),
        (f"Rename {OLD}", f"It is {NEW} now.", 1),
    ],
)
def test_a_link_in_a_later_comment_asks_for_it(stand: BoardDriver, title: str, post: str, answers: int) -> None:
    """The bot answers a link in a later comment once, with the result of its checks; the merge closes the thread."""
    number, head = open_pull(stand, done(requests_plan().files))
    look_at(stand, REQUESTS, number)
    asked = talk(stand, title, post, f"Here: {link(stand, number)}/files", f"{link(stand, number)}, thank you!")
    posts = comments(stand, REQUESTS, asked)
    assert ["a maintainer decides" in post for post in posts] == [False] * answers + [True]
    assert decide(stand.context, stand.context.requests, number, head, "maya").merged
    stand.work()
    assert status(stand, asked) == "closed"
    assert f"{OLD} to {NEW}" in comments(stand, REQUESTS, asked)[-1]


@pytest.mark.long("a board and a renamed model for one more way of asking")
def test_a_link_by_an_earlier_name_of_the_repo_asks_for_it_too(stand: BoardDriver) -> None:
    """A link with the repo's earlier name counts as well; of unknown repo names the bot looks up two, only once."""
    number, head = open_pull(stand, done(requests_plan().files))
    look_at(stand, REQUESTS, number)
    asked = talk(stand, "Rename my model", link(stand, number).replace(REQUESTS, "Old/Requests"), link(stand, number))
    (answer,) = comments(stand, REQUESTS, asked)
    assert "a maintainer decides" in answer
    assert decide(stand.context, stand.context.requests, number, head, "maya").merged
    stand.work()
    assert status(stand, asked) == "closed"
    assert comments(stand, REQUESTS, asked)[-1].count(f"{OLD} to {NEW}") == 1
    strange = [link(stand, number).replace(REQUESTS, f"eve/r{n}") for n in range(3)]
    for count in (4, 0):
        stand.calls.clear()
        talk(stand, "Hello", "\n".join(strange))
        assert [route for _, route in stand.calls].count("info") == count


def test_checks_are_told_that_came_after_the_first_answer(stand: BoardDriver) -> None:
    """If the bot answers a discussion before it has checked the pull request, it posts the result later, once."""
    number, _ = open_pull(stand, done(requests_plan().files))
    text = f"Please: {link(stand, number)}"
    asked = int(stand.ada.create_discussion(REQUESTS, "Rename my model", description=text, repo_type="dataset").num)
    stand.context.mark(f"thread:dataset/{REQUESTS}:{asked}", SyncPriority.PERSON)
    for _ in range(2):
        stand.settle()
        look_at(stand, REQUESTS, asked)
    first, checked = comments(stand, REQUESTS, asked)
    assert "links a pull request with the changes" in first
    assert "a maintainer decides" in checked


@pytest.mark.long("a board and a renamed model for one more way of asking")
def test_the_mere_mention_of_a_rename_closes_no_discussion(stand: BoardDriver) -> None:
    """A discussion about something else, or one that links a rename merged earlier, stays open."""
    number, head = open_pull(stand, done(requests_plan().files))
    look_at(stand, REQUESTS, number)
    report = talk(stand, f"[FLAG] {OLD}", "It is a copy.", f"And it is to be renamed: {link(stand, number)}")
    assert decide(stand.context, stand.context.requests, number, head, "maya").merged
    stand.settle()
    idea = talk(stand, "An idea for names", "Hello.", f"As in {link(stand, number)}.")
    for thread, answers in ((report, 1), (idea, 0)):
        look_at(stand, REQUESTS, thread)
        assert status(stand, thread) == "open"
        assert len(comments(stand, REQUESTS, thread)) == answers


def test_a_step_is_taken_and_the_next_one_does_the_rest(stand: BoardDriver) -> None:
    """The correct part of a rename is merged; the bot offers the rest, and a second pull request brings it."""
    first = {path(OLD): None, path(NEW): done(requests_plan().files)[path(NEW)]}
    number, head = open_pull(stand, first)
    look_at(stand, REQUESTS, number)
    assert decide(stand.context, stand.context.requests, number, head, "maya").merged
    (text,) = comments(stand, REQUESTS, number)
    assert "I can do the rest of the rename" in text
    stand.settle()
    remaining = {name: data for name, data in FILES.items() if name != path(OLD)}
    number, head = open_pull(stand, done(requests_plan(files=remaining).files))
    look_at(stand, REQUESTS, number)
    assert "The rename is correct" in comments(stand, REQUESTS, number)[0]
    assert decide(stand.context, stand.context.requests, number, head, "maya").merged
    assert set(on_main(stand)) == {*FILES, path(NEW), path(NEW, "4bit")} - {path(OLD), path(OLD, "4bit")}


WITHDRAWN = {"reason": "A typing error", "by": "ada", "at": "2026-01-02T00:00:00Z"}
EARLIER = {"revision": "a" * 40, "results": result_path(OLD), "log": None}


@pytest.mark.long("a board and a renamed model for one more way of asking")
@pytest.mark.parametrize(
    ("status", "facts", "renamed"),
    [
        ("FINISHED", {"results": result_path(OLD)}, {"results": result_path(NEW)}),
        ("CANCELLED", {"kept": EARLIER, "cancelled": WITHDRAWN}, {"kept": {**EARLIER, "results": result_path(NEW)}}),
    ],
)
def test_the_steward_block_is_corrected_after_another_tools_rename(
    stand: BoardDriver, status: str, facts: dict[str, Any], renamed: dict[str, Any]
) -> None:
    """After another tool's rename, the bot corrects the path of the results in the request's `steward` block.

    It also corrects the path of the earlier results that a withdrawn request keeps.
    """
    present = {**FILES, path(OLD): request(OLD, note="é", status=status, steward=facts)}
    stand.put(path(OLD), present[path(OLD)])
    stand.settle()
    for repo, files in (
        (REQUESTS, requests_plan(files=present).files),
        (RESULTS, plan("results", OLD, NEW, RESULT_FILES).files),
    ):
        number, head = open_pull(stand, done(files), repo=repo)
        look_at(stand, repo, number)
        board = stand.context.requests if repo == REQUESTS else stand.context.results
        assert decide(stand.context, board, number, head, "maya").merged
        stand.time += 600
        stand.work()
    ours = stand.file(path(NEW))["steward"]
    assert {name: ours[name] for name in renamed} == renamed
    if status == "FINISHED":
        assert ours["details"] == stand.context.board.repos.details(OLD)


@pytest.mark.long("a board and a renamed model for one more way of asking")
def test_the_name_in_the_harness_config_is_mended_after_others_renamed_it(stand: BoardDriver) -> None:
    """A rename that leaves `config.model_name` unchanged can be merged, and the bot corrects that name afterwards."""
    files = dict(RESULT_FILES)
    fields = json.loads(files[result_path(OLD)])
    files[result_path(OLD)] = json.dumps({**fields, "config": {**fields["config"], "model_name": OLD}}).encode()
    stand.form.create_commit(RESULTS, operations(files), commit_message="Begin", repo_type="dataset")
    planned = plan("results", OLD, NEW, files).files
    wanted = next(json.loads(file.data) for file in planned if file.path == result_path(OLD))
    assert wanted["config"]["model_name"] == NEW
    with_old_name = json.dumps({**wanted, "config": {**wanted["config"], "model_name": OLD}}).encode()
    number, head = open_pull(stand, {**done(planned), result_path(NEW): with_old_name}, repo=RESULTS)
    look_at(stand, RESULTS, number)
    assert decide(stand.context, stand.context.results, number, head, "maya").merged
    stand.time += 600
    stand.work()
    assert json.loads(stand.context.hub.read_file(stand.context.results, result_path(NEW)).data) == wanted


def test_a_push_voids_the_report_and_every_approval(stand: BoardDriver) -> None:
    """After a push, the report says that it is void, and the pushed commit is checked and needs its own approval."""
    right = done(requests_plan().files)
    number, first = open_pull(stand, right)
    look_at(stand, REQUESTS, number)
    second = push(stand, number, {path(NEW): request(NEW, note="é", params=1)})
    assert not decide(stand.context, stand.context.requests, number, first, "maya").merged
    look_at(stand, REQUESTS, number)
    (text,) = comments(stand, REQUESTS, number)
    assert f"An earlier report, on `{first[:8]}`, is void, and so are its approvals" in text
    assert "differs in params" in text
    assert not decide(stand.context, stand.context.requests, number, second, "maya").merged
    third = push(stand, number, {path(NEW): right[path(NEW)]})
    look_at(stand, REQUESTS, number)
    assert decide(stand.context, stand.context.requests, number, third, "maya").merged


def test_a_push_during_a_check_is_not_counted_as_a_failure(stand: BoardDriver, monkeypatch: pytest.MonkeyPatch) -> None:
    """If the fetched commit is not the one that the thread named, the bot checks again later, without a failed try."""
    number, _ = open_pull(stand, done(requests_plan().files))
    true, heads = stand.context.mirror.fetch_pull, iter(["0" * 40])
    monkeypatch.setattr(stand.context.mirror, "fetch_pull", lambda *at: next(heads, None) or true(*at))
    look_at(stand, REQUESTS, number)
    assert comments(stand, REQUESTS, number) == []
    assert not stand.context.redis.exists(stand.context.keys.dirty_tries)
    stand.time += 2
    stand.work()
    assert len(comments(stand, REQUESTS, number)) == 1


def test_a_base_that_moved_is_told_and_a_fresh_start_is_offered(stand: BoardDriver) -> None:
    """If main changed the same file meanwhile, the report suggests `/rename`, and an approval merges nothing."""
    number, head = open_pull(stand, done(requests_plan().files))
    stand.put(path(OLD), request(OLD, note="other", likes=9))
    stand.settle()
    look_at(stand, REQUESTS, number)
    (text,) = comments(stand, REQUESTS, number)
    assert "Not yet" in text
    assert f"/rename {OLD} {NEW}" in text
    assert not decide(stand.context, stand.context.requests, number, head, "maya").merged
