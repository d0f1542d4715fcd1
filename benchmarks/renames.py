"""Measures the check of a pull request that renames a model, on a board with very many requests.

    python -m benchmarks.renames [--files 100000] [--json]

The model has three requests and is the base model of two others. "check" is the whole check from reading the pull
request to the report in its thread; "again" is the check before a merge. The mirror already has main, as on a running
board.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from huggingface_hub import CommitOperationAdd, CommitOperationDelete, HfApi

from benchmarks.reconcile import requests
from benchmarks.stage import FORM, REQUESTS, BenchmarkBoard, request_file, request_path, stage, write_hub
from bot.changes.rename_sources import source_of
from bot.core.pull_records import find_report
from bot.pulls.pull import sync_pull
from bot.pulls.rename_pulls import still_holds
from leaderboard.renames import plan
from localhub.world import open_hub

OLD, NEW = "ada/lion", "ada/lioness"
PRECISIONS = ("bfloat16", "float16", "4bit")
BAR_SECONDS, BAR_CALLS = 3.0, 15


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--files", type=int, default=100_000, help="request files in the repo")
    parser.add_argument("--json", action="store_true", help="one JSON object as the last line")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="steward-bench-") as folder:
        found = measure(Path(folder), options.files)
    for name in ("check", "again"):
        one = found[name]
        print(f"{name:>8}{one['seconds']:8.2f} s{one['calls']:6} calls{one['cpu']:8.2f} s of this process")
    print(f"{'target':>8}{BAR_SECONDS:8.2f} s{BAR_CALLS:6} calls")
    if options.json:
        print(json.dumps(found))


def measure(folder: Path, size: int) -> dict[str, Any]:
    """Return seconds and calls of the check, and of the check before a merge."""
    write_hub(folder / "hub", files(size), [NEW])
    _was_renamed(folder / "hub")
    with stage(folder) as board:
        number = _propose(board)
        context = board.context
        context.mirror.fetch(context.requests, depth=1)
        thread = context.hub.thread(context.requests, number)
        check = _timed(board, lambda: sync_pull(context, context.requests, thread))
        thread = context.hub.thread(context.requests, number)
        _, record = find_report(context, thread)
        assert record is not None
        assert record.result == "passed", thread.comments[-1].text
        rename = record.rename
        assert rename is not None
        again = _timed(board, lambda: still_holds(context, context.requests, thread, rename))
        return {"files": size, "check": check, "again": again}


def files(size: int) -> Iterator[tuple[str, bytes]]:
    """Yield the requests of a board, of a model, and of two models made from it."""
    for precision in PRECISIONS:
        path = request_path(OLD).replace("bfloat16", precision)
        yield path, request_file(OLD, "FINISHED", precision=precision)
    for name in ("bob/cub", "bob/kitten"):
        yield request_path(name), request_file(name, "FINISHED", base_model=OLD)
    yield from requests(size - len(PRECISIONS) - 2, [])


def _was_renamed(folder: Path) -> None:
    """Rename the model on the Hub, so that its old name redirects to the new one."""
    state = open_hub(folder)
    try:
        repo = state.repos.get("model", NEW)
        assert repo is not None
        state.repos.add_aliases(repo, [OLD])
    finally:
        state.close()


def _propose(board: BenchmarkBoard) -> int:
    """Open a pull request that makes the whole rename, and return its number."""
    context = board.context
    base = source_of(context, context.requests).base(OLD, NEW)
    it = plan("requests", OLD, NEW, base.files)
    operations: list[Any] = [CommitOperationDelete(one.path) for one in it.files if one.moves]
    operations += [CommitOperationAdd(one.place, one.data) for one in it.files]
    made = HfApi(board.url, token=FORM).create_commit(
        REQUESTS, operations, commit_message=f"Rename {OLD}", repo_type="dataset", create_pr=True
    )
    return int(made.pr_num or 0)


def _timed(board: BenchmarkBoard, act: Callable[[], object]) -> dict[str, float]:
    before, started, cpu = board.admin("GET", "stats")["total"], time.monotonic(), time.process_time()
    act()
    seconds, cpu = time.monotonic() - started, time.process_time() - cpu
    calls = board.admin("GET", "stats")["total"] - before
    return {"seconds": round(seconds, 2), "cpu": round(cpu, 2), "calls": calls}


if __name__ == "__main__":
    main()
