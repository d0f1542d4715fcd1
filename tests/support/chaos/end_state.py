"""The end state that a board must reach, whatever happens to its processes."""

from __future__ import annotations

import json
import re
from collections.abc import Collection
from typing import Any

from huggingface_hub import HfApi

from hub.records import Repo
from steward.testing.waiting import wait_until
from tests.support.chaos.board_processes import PATIENCE, WORKER, BoardProcesses

MODELS = ("good-slow", "good", "remote", "good-dies", "other")
BROKEN = {"remote", "good-dies"}
"""Models whose evaluation fails."""
REPLAYED = re.compile(r" [\d,]+ of its answers had been computed before, by an attempt that was interrupted\.")
"""A pattern of the sentence in a status comment about answers that were not computed again."""
EARLIER = re.compile(r"<details>(?:(?!</details>).)*</details>(?:\\n)*")
"""A pattern of the part of a status comment that lists earlier attempts, in JSON."""
REQUESTS = Repo("dataset", "town/requests")


def check_end_state(
    board: BoardProcesses, models: Collection[str] = MODELS, proposed: str = "", *, seconds: float = PATIENCE
) -> dict[str, Any]:
    """Check that each request has the right end, one status comment and one publication; return the visible state.

    The form submitted `models`; a pull request, which is the request's thread, submitted `proposed`.
    """
    evaluated = [name for name in (*models, proposed) if name and name not in BROKEN]
    wait_until(board.ended, seconds=seconds, describe=board.words)
    visible_state = board.final_state()
    ends = {path.partition("_eval")[0].removeprefix("ada/"): status for path, status in board.statuses().items()}
    failed = {name: "FAILED" for name in models if name in BROKEN}
    assert ends == {**dict.fromkeys(evaluated, "FINISHED"), **failed}, ends
    threads = [thread for thread in board.reader.threads(REQUESTS) if thread.title.startswith("Evaluation of")]
    titles = sorted(f"Evaluation of ada/{name} (float32)" for name in models)
    assert sorted(thread.title for thread in threads) == titles
    assert all(len(board.reader.thread(REQUESTS, thread.num).comments) == 1 for thread in threads)
    worker = HfApi(board.hub.url, token=WORKER)
    for name in evaluated:
        commits = worker.list_repo_commits(f"town-details/details_ada__{name}", repo_type="dataset")
        assert len([commit for commit in commits if commit.title.startswith("Add details")]) == 1, name
    results = [
        file.path for file in board.reader.list_files(Repo("dataset", "town/results")) if file.path.endswith("json")
    ]
    assert len(results) == len(evaluated)
    return visible_state


def without_attempts(seen: dict[str, Any]) -> dict[str, Any]:
    """Return a visible state without attempt numbers and earlier attempts, which differ when a worker is lost."""
    text = json.dumps({name: value for name, value in seen.items() if not name.startswith("logs/")}, sort_keys=True)
    fields: dict[str, Any] = json.loads(REPLAYED.sub("", EARLIER.sub("", text.replace("ID-2", "ID-1"))))
    for name, value in fields.items():
        if name.startswith("requests/"):
            for counted in ("attempt", "causes", "spent"):
                value["steward"].pop(counted, None)
        elif name.startswith("results/"):
            value.pop()  # the number of answers of an interrupted attempt
    return fields
