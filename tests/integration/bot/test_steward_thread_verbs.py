"""Thread commands from a shell: `steward` writes them on the Hub with the person's token, and the bot answers there."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest
from typer.testing import CliRunner

from leaderboard.attempts import Failure
from redis_state import clock
from steward.cli import app
from steward.commands import thread_verbs
from steward.testing.board import BOARD, BoardDriver

THEIRS = Failure(cause="nan-weights", fault="submission", message="Weights are NaN.", advice="Save them again.")
Run = Callable[..., tuple[int, str]]


@pytest.fixture
def run(stand: BoardDriver, valkey_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run a command with the token of `form`, a maintainer; while it waits, the bot syncs every thread."""
    form = stand.context.hub.user("form").id
    stand.context.board = stand.context.board.model_copy(update={"maintainers": (form,), "front_ends": (form,)})
    (tmp_path / "board.yaml").write_text(BOARD)
    for name, value in {
        "HF_ENDPOINT": stand.hub.url,
        "REDIS_URL": valkey_url,
        "STEWARD_BOARD": str(tmp_path / "board.yaml"),
        "HF_TOKEN": "hf_form",
    }.items():
        monkeypatch.setenv(name, value)

    def bot_looks(_seconds: float) -> None:
        stand.time = clock.now() + 1
        for repo in (stand.context.requests, stand.context.community):
            for thread in stand.context.hub.threads(repo):
                stand.context.mark(f"thread:{repo.kind}/{repo.id}:{thread.num}")
        stand.work()

    monkeypatch.setattr(thread_verbs, "time", SimpleNamespace(sleep=bot_looks, monotonic=clock.now))

    def command(*words: str) -> tuple[int, str]:
        result = CliRunner().invoke(app, list(words))
        return result.exit_code, result.output

    return command


def test_a_relaunch_is_written_in_the_thread_of_its_request(stand: BoardDriver, run: Run) -> None:
    """`steward relaunch` writes the command in the request's thread, prints the bot's answer, and changes the file."""
    path = stand.failed(THEIRS, sender="ada")
    code, output = run("relaunch", "ADA/Good", "fp32", "--json")
    answer = json.loads(output.splitlines()[-1])
    assert (code, "will be evaluated again" in answer["answer"]) == (0, True), output
    assert answer["command"] == "/relaunch ADA/Good fp32"
    number = stand.file(path)["steward"]["thread"]
    assert answer["thread"] == f"{stand.hub.url}/datasets/board/requests/discussions/{number}"
    assert stand.file(path)["status"] == "RERUN"
    (written,) = [
        comment
        for comment in stand.context.hub.thread(stand.context.requests, number).comments
        if comment.author_name == "form"
    ]
    assert written.text.splitlines()[-1] == "/relaunch ADA/Good fp32"


def test_a_command_without_a_thread_opens_a_discussion(stand: BoardDriver, run: Run) -> None:
    """The command is written in a new discussion of the community repo, whose address is printed."""
    code, output = run("remove", "ada/none", "its weights were wrong")
    assert code == 0, output
    assert output.splitlines()[-1] == f"{stand.hub.url}/spaces/board/space/discussions/1"
    assert "> " not in output
    (opened,) = stand.context.hub.thread(stand.context.community, 1).comments[:1]
    assert opened.text.splitlines()[-1] == '/remove ada/none "its weights were wrong"'


def test_a_command_that_fits_no_verb_writes_nothing(stand: BoardDriver, run: Run) -> None:
    """A command without an argument or a thread that it needs, or with a wrong address, exits with 2."""
    for words, sentence in (
        (["rename", "ada/good"], "Write: steward rename org/model org/model"),
        (["reject", "not yours"], "/reject is about one thread: name it with --thread."),
        (["dismiss", "no reason", "--thread", "https://example.org/x"], "is no address of a discussion"),
    ):
        code, output = run(*words)
        assert (code, sentence in output) == (2, True), output
    assert list(stand.context.hub.threads(stand.context.community)) == []


def test_a_thread_is_named_by_its_number_or_its_address(stand: BoardDriver, run: Run) -> None:
    """`--thread` takes the number of a thread in the requests repo, or the address of any discussion."""
    number = stand.ada.create_discussion("board/space", "A question", description="Hello.", repo_type="space").num
    address = f"{stand.hub.url}/spaces/board/space/discussions/{number}"
    code, output = run("reject", "no", "plan", "--thread", address)
    assert (code, output.splitlines()[-1]) == (0, address), output
    pull = stand.ada.create_pull_request("board/requests", "Add", repo_type="dataset").num
    code, output = run("reject", "it is empty", "--thread", str(pull))
    assert code == 0, output
    assert stand.context.hub.thread(stand.context.requests, pull).status == "closed"


def test_no_answer_is_told(stand: BoardDriver, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """If the bot does not answer in time, the command exits with 1 and prints the address of the discussion."""
    monkeypatch.setattr(thread_verbs, "WAIT_SECONDS", 0.0)
    code, output = run("restore", "ada/none")
    assert (code, "The bot has not answered yet" in output, "/discussions/1" in output) == (1, True, True), output
