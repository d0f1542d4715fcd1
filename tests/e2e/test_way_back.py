"""From this version back to 0.1.0, as docs/upgrading.md describes it, on a board in real processes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from huggingface_hub import CommitOperationAdd, CommitOperationDelete

from hub.records import Repo
from steward.testing.board import BOT
from steward.testing.waiting import wait_until
from tests.support.chaos.board_processes import ENDED, PATIENCE, BoardProcesses, open_board_processes
from tests.support.previous_version import unpack

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.timeout(4 * PATIENCE),
    pytest.mark.long("it starts and stops six processes, for half a minute"),
]
REQUESTS = Repo("dataset", "town/requests")
FORMER_PATHS = {".steward/pauses": ".steward/queue.json", ".steward/adoption": ".steward/adopted.json"}
"""Where 0.1.0 expects the files of this version."""
LEGACY = "ada/legacy_eval_request_False_float16_Original.json"
PROCESSES = ("web0", "sync0", "worker0")


def test_version_010_continues_a_board_of_this_version(project: Path, tmp_path: Path) -> None:
    """0.1.0 keeps the pause, changes no ended and no adopted request, posts no comment about an ended request, and
    evaluates the waiting and the new request."""
    previous = unpack(project, tmp_path / "before")
    with open_board_processes(tmp_path / "board") as board:
        submit_legacy(board)
        steward(board, "adopt", "--by", "bot")
        start(board)
        ended = board.submit("good", "remote")
        wait_until(lambda: has_ended(board, ended), seconds=PATIENCE, describe=board.words)
        steward(board, "pause", "board", "--reason", "we go back")
        (waiting,) = board.submit("another")
        wait_until(lambda: has_post(board, waiting), seconds=PATIENCE, describe=board.words)
        wait_until(board.is_idle, seconds=PATIENCE, describe=board.words)
        files, posts = {path: board.file(path) for path in ended}, posts_about(board, ended)
        board.end_processes()

        rename_back(board)
        board.redis.flushall()
        code = {
            "PYTHONPATH": os.pathsep.join(map(str, (previous, previous / "tests" / "chaos"))),
            "PYTHONSAFEPATH": "1",  # not the code in the working folder
        }
        start(board, REDIS_URL=board.valkey.url, STEWARD_HARNESS="quick_harness", **code)
        # Only 0.1.0 says it in these words.
        wait_until(
            lambda: has_post(board, waiting, "It goes on by itself when the pause is over."),
            seconds=PATIENCE,
            describe=board.words,
        )
        assert board.file(waiting)["status"] == "PENDING"
        assert steward(board, "resume", "board", **code) == "board goes on.\n", "the words of 0.1.0"
        later = [waiting, *board.submit("good-slow")]
        wait_until(lambda: has_ended(board, later), seconds=PATIENCE, describe=board.words)
        assert [board.file(path)["status"] for path in later] == ["FINISHED", "FINISHED"]
        assert {path: board.file(path) for path in ended} == files
        assert board.file(LEGACY) == {"model": "ada/legacy", "status": "PENDING"}
        assert posts_about(board, ended) == posts


def submit_legacy(board: BoardProcesses) -> None:
    """Commit a request from before the adoption."""
    operation = CommitOperationAdd(LEGACY, json.dumps({"model": "ada/legacy", "status": "PENDING"}).encode())
    board.form.create_commit("town/requests", [operation], commit_message="Add", repo_type="dataset")


def steward(board: BoardProcesses, *words: str, **settings: str) -> str:
    """Run a command of Steward to its end; return its output."""
    variables = {
        **os.environ,
        "HF_ENDPOINT": board.hub.url,
        "REDIS_URL": board.valkey.url,
        "STEWARD_BOARD": str(board.folder / "board.yaml"),
        "STEWARD_BOT_TOKEN": BOT,
        **settings,
    }
    command = [sys.executable, "-m", "steward.cli", *words]
    process = subprocess.run(command, env=variables, capture_output=True, text=True)
    assert process.returncode == 0, process.stdout + process.stderr
    return process.stdout


def start(board: BoardProcesses, **settings: str) -> None:
    """Start a web server, a sync process and a worker."""
    for name in PROCESSES:
        board.start(name, **settings)
    wait_until(board.web_answers, seconds=PATIENCE, describe=board.words)


def rename_back(board: BoardProcesses) -> None:
    """Rename the files of the requests repo as docs/upgrading.md says, in one commit."""
    operations: list[CommitOperationAdd | CommitOperationDelete] = []
    for path, former in FORMER_PATHS.items():
        operations.append(CommitOperationAdd(former, board.reader.read_file(REQUESTS, path).data))
        operations.append(CommitOperationDelete(path))
    board.form.create_commit("town/requests", operations, commit_message="Go back to 0.1.0", repo_type="dataset")


def has_ended(board: BoardProcesses, paths: list[str]) -> bool:
    """Whether all these requests have ended."""
    return all(board.file(path)["status"] in ENDED for path in paths)


def comments(board: BoardProcesses) -> dict[int, list[str]]:
    """Thread number → its comments."""
    numbers = [thread.num for thread in board.reader.threads(REQUESTS)]
    return {number: [each.text for each in board.reader.thread(REQUESTS, number).comments] for number in numbers}


def posts_about(board: BoardProcesses, paths: list[str]) -> list[list[str]]:
    """The comments of each thread with a comment about one of these requests."""
    return [texts for texts in comments(board).values() if any(path in text for path in paths for text in texts)]


def has_post(board: BoardProcesses, path: str, words: str = "") -> bool:
    """Whether the status comment of a request contains `words`."""
    return any(f" status {path} " in text and words in text for texts in comments(board).values() for text in texts)
