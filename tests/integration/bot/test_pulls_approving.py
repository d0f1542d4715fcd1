"""A maintainer approves a pull request at one commit: the bot's answers, and that it merges only what it checked."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from bot.pulls.approving import ApprovalResult, decide
from hub.records import Repo
from redis_state import clock
from steward.cli import app
from steward.testing.board import BOARD, BOT, REQUESTS, BoardDriver
from tests.support.board.discussion import Discussion
from tests.support.board.pull_requests import PATH, comments_of_kind, empty_stand, fields, look, propose, report, thread

stand = empty_stand


def ask(stand: BoardDriver, number: int, sha: str) -> ApprovalResult:
    """Approve `sha` of the pull request as Maya; return the bot's answer."""
    return decide(stand.context, stand.context.requests, number, sha, "maya")


def test_what_passed_is_merged_at_the_commit_that_was_approved(stand: BoardDriver) -> None:
    """An approval needs only the commit's first letters; the report names the approver; a repeat is answered alike."""
    number, head = propose(stand, {PATH: fields(stand)})
    look(stand, number)
    answer = ask(stand, number, head[:8].upper())
    assert answer.merged
    assert f"exactly as I checked it at `{head[:8]}`" in answer.text
    assert "`maya` approved it" in report(stand, number)
    stand.settle()
    assert len(comments_of_kind(stand, number, "status")) == 1
    assert ask(stand, number, head) == answer
    assert look(stand, number)[0] == "thread"


def test_a_sender_in_the_file_is_shown_and_the_author_is_the_submitter(stand: BoardDriver) -> None:
    """A report says that a file names another sender; `/approve` merges it at once, as the author's submission."""
    form = stand.context.hub.user("form").id
    stand.context.board = stand.context.board.model_copy(update={"maintainers": (form,)})
    number, head = propose(stand, {PATH: fields(stand, sender="bob")})
    look(stand, number)
    assert "names the sender `bob`; that counts for nothing. The submitter is `ada`" in report(stand, number)
    Discussion(stand, number=number).say(f"/approve {head[:8]}", stand.form)
    assert thread(stand, number).status == "merged"
    stand.settle()
    assert stand.context.index.get(PATH).submitter == "ada"
    (status,) = comments_of_kind(stand, number, "status")
    assert "submitted by `ada`" in status


def test_a_push_after_the_report_voids_the_approval(stand: BoardDriver) -> None:
    """After a push, the bot refuses to merge the old commit, and merges the new one only once it is checked."""
    number, first = propose(stand, {PATH: fields(stand)})
    look(stand, number)
    _, second = propose(stand, {PATH: fields(stand, likes=1)}, number=number)
    for sha, words in (
        (first, f"You approved `{first}`"),
        (second, "I have not checked"),
        ("", "You approved"),
    ):
        answer = ask(stand, number, sha)
        assert (answer.merged, words in answer.text) == (False, True)
    assert thread(stand, number).status == "open"
    look(stand, number)
    assert not ask(stand, number, first).merged
    assert ask(stand, number, second).merged


def test_what_did_not_pass_is_not_merged_on_approval(stand: BoardDriver) -> None:
    """The bot refuses failed, draft and closed pull requests, discussions and unknown numbers, and says why."""
    number, head = propose(stand, {PATH: fields(stand, status="RUNNING")})
    look(stand, number)
    assert "does not pass the checks" in ask(stand, number, head).text
    draft = stand.ada.create_pull_request(REQUESTS, title="Draft", repo_type="dataset").num
    _, at = propose(stand, {PATH: fields(stand)}, number=draft)
    look(stand, draft)
    assert "still a draft" in ask(stand, draft, at).text
    talk = stand.ada.create_discussion(REQUESTS, title="A talk", repo_type="dataset").num
    assert "is not a pull request in the requests or the results repo" in ask(stand, talk, head).text
    assert "There is no pull request #9999" in ask(stand, 9999, head).text
    stand.ada.change_discussion_status(REQUESTS, number, "closed", repo_type="dataset")
    assert "is already closed" in ask(stand, number, head).text
    other = stand.ada.create_pull_request("board/results", title="Other", repo_type="dataset").num
    assert not decide(stand.context, Repo("dataset", "board/results"), other, head, "maya").merged


def test_what_the_board_or_the_hub_holds_back_is_said(stand: BoardDriver) -> None:
    """If merges are in shadow or the Hub refuses one, the bot says so, and the pull request stays open."""
    number, head = propose(stand, {PATH: fields(stand)})
    look(stand, number)
    board = stand.context.board
    held = type(board.effects)(modes={**board.effects.modes, "merge": "shadow"})  # type: ignore[dict-item]
    stand.context.board = board.model_copy(update={"effects": held})
    assert "I merged nothing" in ask(stand, number, head).text
    stand.context.board = board
    stand.hub.state.faults.fail("POST */merge", status=403, times=1)
    assert "The Hub did not let me merge" in ask(stand, number, head).text
    assert thread(stand, number).status == "open"
    assert ask(stand, number, head).merged


def test_an_operator_approves_on_the_command_line(
    stand: BoardDriver, tmp_path: Path, valkey_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`steward approve 12 --sha …` refuses an unchecked commit with exit code 1, and merges a checked one with 0."""
    (tmp_path / "board.yaml").write_text(BOARD)
    for name, value in {
        "STEWARD_BOARD": str(tmp_path / "board.yaml"),
        "STEWARD_BOT_TOKEN": BOT,
        "STEWARD_MIRRORS": str(tmp_path / "mirrors"),
        "REDIS_URL": valkey_url,
        "HF_ENDPOINT": stand.hub.url,
    }.items():
        monkeypatch.setenv(name, value)
    number, head = propose(stand, {PATH: fields(stand)})
    run = CliRunner().invoke
    unchecked = run(app, ["approve", str(number), "--sha", head])
    assert (unchecked.exit_code, "Wait for the report" in unchecked.stdout) == (1, True)
    stand.time = clock.now()
    look(stand, number)
    result = run(app, ["approve", str(number), "--sha", head[:7], "--by", "grace"])
    assert (result.exit_code, f"I merged #{number}" in result.stdout) == (0, True)
    assert "`grace` approved it" in report(stand, number)
