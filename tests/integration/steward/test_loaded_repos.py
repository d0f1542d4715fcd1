"""`datasets.load_dataset` reads the repos of records by the cards that `steward init` writes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import redis
from huggingface_hub import CommitOperationAdd

from bot.probe import Probe
from bot.threads.decision_log import DECISIONS
from leaderboard.attempts import Failure
from leaderboard.boards import Board
from steward.board_setup import steps
from steward.new_board import NO_ROWS, card
from steward.testing.board import BOT, REQUESTS
from tests.support.board.contents_table import CONTENTS, board_with_table, finished, look
from tests.support.board.flags import FLAGS, AppealThread, FlagBoardDriver

LOGS = "board/logs"
FORM = {
    "base_model": "",
    "revision": "main",
    "precision": "float32",
    "params": 0.1,
    "architectures": "GPT2LMHeadModel",
    "weight_type": "Original",
    "job_id": -1,
    "job_start_time": None,
    "use_chat_template": False,
    "sender": "ada",
}
"""The fields that front ends write into request files."""
THEIRS = Failure(cause="nan-weights", fault="submission", message="Weights are NaN.", advice="Save them again.")
LOAD = """
import json, sys
from datasets import load_dataset
rows = {}
for repo, config, empty in json.loads(sys.argv[1]):
    loaded = load_dataset(repo, config, split="train", streaming=empty)
    rows[f"{repo} {config}"] = {"columns": list(loaded.features), "rows": list(loaded)}
print(json.dumps(rows))
"""


@pytest.fixture
def stand(tmp_path: Path, connection: redis.Redis, probe: Probe) -> Iterator[FlagBoardDriver]:
    """A board with flags and a table."""
    with board_with_table(tmp_path, connection, probe) as driver:
        yield driver


def load(stand: FlagBoardDriver, home: Path, *wanted: tuple[str, str, bool]) -> dict[str, Any]:
    """Load configs by `datasets` in a process of its own; an empty one as a stream, since it has no split to store."""
    env = {**os.environ, "HF_ENDPOINT": stand.hub.url, "HF_TOKEN": BOT, "HF_HOME": str(home), "HF_HUB_DISABLE_XET": "1"}
    command = [sys.executable, "-c", LOAD, json.dumps(wanted)]
    process = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
    assert process.returncode == 0, process.stderr[-3_000:]
    return dict(json.loads(process.stdout.splitlines()[-1]))


def fill(stand: FlagBoardDriver) -> None:
    """Make requests, attempts, decisions and flags whose records differ in their fields."""
    finished(stand, "ada/good", raw=json.dumps({"model": "ada/good", "status": "PENDING", **FORM}).encode())
    path = stand.submit("ada/half", raw=b'{"model": "ada/half", "status": "PENDING", "likes": 3, "license": "mit"}')
    stand.settle()
    stand.fail_next(THEIRS)
    assert stand.file(path)["status"] == "FAILED"
    AppealThread(stand, "[FLAG] ada/good", "Not its own.").say("/flag other it is not", stand.form)
    AppealThread(stand, "[FLAG] ada/plain", "Nor this.").say("/flag other float32 only --precision float32", stand.form)
    AppealThread(stand, "Busy", "Hello.").say("/pause board the machines are moved", stand.form)
    look(stand)
    stand.context.mark(DECISIONS)
    look(stand)


def write_cards(stand: FlagBoardDriver, board: Board) -> None:
    """Give the board's repos the files that `init` writes into new ones."""
    for repo in (REQUESTS, LOGS, FLAGS):
        files = [CommitOperationAdd("README.md", card(board, repo)), CommitOperationAdd(NO_ROWS, b"")]
        stand.form.create_commit(repo, files, commit_message="Say what this is", repo_type="dataset")


def test_datasets_loads_every_repo_of_a_board(stand: FlagBoardDriver, tmp_path: Path) -> None:
    """Records with different fields load together, with objects as JSON text; a repo without a record loads as well."""
    fill(stand)
    board = stand.context.board
    write_cards(stand, board)
    repos = {
        "requests": "board/fresh-requests",
        "logs": "board/fresh-logs",
        "flags": "board/fresh-flags",
        "contents": "",
    }
    fresh = board.model_copy(update={"repos": board.repos.model_copy(update=repos)})
    list(steps(stand.context.hub, fresh, url="", secret="", apply=True))
    configs = [("requests", "default"), ("logs", "outcomes"), ("logs", "decisions"), ("flags", "default")]
    full = [(f"board/{repo}", config, False) for repo, config in configs]
    full += [("board/results", "default", False), (CONTENTS, "default", False)]
    empty = [(f"board/fresh-{repo}", config, True) for repo, config in configs]
    loaded = load(stand, tmp_path / "home", *full, *empty)
    requests = {row["model"]: row for row in loaded["board/requests default"]["rows"]}
    assert (requests["ada/good"]["params"], requests["ada/half"]["likes"]) == (0.1, 3)
    assert json.loads(requests["ada/half"]["steward"])["failure"]["cause"] == "nan-weights"
    outcomes = loaded["board/logs outcomes"]["rows"]
    assert sorted(row["failure"] is None for row in outcomes) == [False, True]
    decisions = loaded["board/logs decisions"]["rows"]
    assert {row["verb"]: type(json.loads(row["arguments"])) for row in decisions} == {"flag": dict, "pause": dict}
    flags = {row["model"]: len(row["decisions"]) for row in loaded["board/flags default"]["rows"]}
    assert flags == {"ada/good": 1, "ada/plain": 1}
    assert len(loaded["board/results default"]["rows"]) == len(loaded[f"{CONTENTS} default"]["rows"]) == 1
    for repo, config in configs:
        columns = loaded[f"board/{repo} {config}"]["columns"]
        assert loaded[f"board/fresh-{repo} {config}"] == {"columns": columns, "rows": []}
