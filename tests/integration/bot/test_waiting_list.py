"""The list of what waits for a maintainer: pull requests and plans too, each until it is decided."""

from __future__ import annotations

import json

import pytest
from huggingface_hub import CommitOperationAdd

from bot.threads.maintainers_list import waiting_threads
from bot.web.board import BoardReader
from bot.web.page import NoQuery
from bot.web.pages.threads import threads_waiting
from leaderboard.waiting_items import PLAN, PULL
from steward.testing.board import REQUESTS, BoardDriver
from tests.support.board.discussion import Discussion
from tests.support.board.pull_requests import PATH, fields
from tests.support.board.renames import RESULTS


@pytest.fixture
def board(stand: BoardDriver) -> BoardDriver:
    """A board whose form's account is its maintainer."""
    form = stand.context.hub.user("form").id
    stand.context.board = stand.context.board.model_copy(update={"maintainers": (form,), "front_ends": (form,)})
    return stand


def topics(stand: BoardDriver) -> list[str]:
    """Return the topics on the list."""
    return [thread.topic for thread in waiting_threads(stand.context)]


def look(stand: BoardDriver, number: int, repo: str = f"dataset/{REQUESTS}") -> None:
    """Sync a thread, and every key that this marks."""
    stand.time += 120
    stand.context.mark(f"thread:{repo}:{number}")
    stand.work()


def pull(stand: BoardDriver, files: dict[str, bytes], repo: str = REQUESTS) -> tuple[int, str]:
    """Open a pull request as Bob, and sync it; return its number and head."""
    operations = [CommitOperationAdd(path, data) for path, data in files.items()]
    commit = stand.bob.create_commit(repo, operations, commit_message="Add", repo_type="dataset", create_pr=True)
    number = int(commit.pr_num or 0)
    look(stand, number, f"dataset/{repo}")
    return number, str(commit.oid)


def test_a_pull_request_waits_until_it_is_decided(board: BoardDriver) -> None:
    """The list has a pull request that passes until it is merged, and none that its author has to correct."""
    number, head = pull(board, {PATH: json.dumps(fields(board)).encode()})
    assert topics(board) == [PULL]
    wrong, _ = pull(board, {PATH.replace("good", "bad"): b"no JSON"})
    assert topics(board) == [PULL], "lists a pull request that its author has to correct"
    board.form.comment_discussion(REQUESTS, number, comment=f"/approve {head[:8]}", repo_type="dataset")
    look(board, number)
    look(board, number)
    assert topics(board) == []
    board.form.change_discussion_status(REQUESTS, wrong, "closed", repo_type="dataset")
    look(board, wrong)
    assert topics(board) == []


def test_a_pull_request_that_is_no_submission_waits_too(board: BoardDriver) -> None:
    """A pull request that changes another file, in either repo, is on the list until it is closed."""
    for repo in (REQUESTS, RESULTS):
        number, _ = pull(board, {"notes.md": b"A note."}, repo)
        assert topics(board) == [PULL], repo
        (waiting,) = threads_waiting(BoardReader(board.context), NoQuery()).threads
        assert waiting.place == f"{repo} #{number}"
        board.form.change_discussion_status(repo, number, "closed", repo_type="dataset")
        look(board, number, f"dataset/{repo}")
        assert topics(board) == []


def test_a_plan_waits_until_it_is_decided(board: BoardDriver) -> None:
    """An owner's plan to remove a model is on the list until it is rejected or closed, also after a loss of Redis."""
    board.submit("ada/good", status="FINISHED", submitted_time="2026-01-01T00:00:00Z", sender="ada")
    board.settle()
    talk = Discussion(board)
    board.form.comment_discussion(REQUESTS, talk.number, comment="What is it?", repo_type="dataset")
    talk.say("/remove ada/good its weights were wrong")
    assert topics(board) == [PLAN]
    board.context.redis.delete(board.context.keys.waiting_threads)
    talk.look()
    assert topics(board) == [PLAN]
    talk.say("/reject they are right", board.form)
    assert topics(board) == []
    talk.say("/remove ada/good they are not right at all")
    assert topics(board) == [PLAN]
    board.form.change_discussion_status(REQUESTS, talk.number, "closed", repo_type="dataset")
    talk.look()
    assert topics(board) == []


def test_an_answer_after_a_week_takes_a_thread_off(board: BoardDriver) -> None:
    """A maintainer's comment takes a thread off the list, even more than a week later."""
    talk = Discussion(board, "Something odd", "The table looks strange to me today.")
    talk.look()
    assert topics(board) == ["other"]
    board.time += 8 * 86_400
    talk.say("It is fine now.", board.form)
    assert topics(board) == []
