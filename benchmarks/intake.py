"""Measures the intake of a thousand request files in one push: the time until all are accepted, and its costs.

    python -m benchmarks.intake [--files 1000] [--json]
    python -m benchmarks.intake --budget [--json]

The push is one commit of the form; the local Hub notifies the web server, and the sync process does the rest. The
admission of a model makes three calls here, for its facts, its config and the start of its weights; `calls_per_file`
counts the other calls. `commits` are the bot's own. With `--budget` the Hub applies the limits of a free account, in
windows of five minutes, so the run takes some minutes; `refused` is the number of calls answered with 429.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from pathlib import Path
from typing import Any

import httpx2

from benchmarks.stage import FORM, REQUESTS, BenchmarkBoard, request_file, request_path, stage, write_hub
from steward.valkey import free_port

FILES = 1_000
OF_ADMISSION = 3
"""Calls for a model's facts, its config, and the start of its weights: its repo has no other files."""
FREE_ACCOUNT = {"api": 1_000, "resolvers": 5_000, "pages": 200, "commits_per_hour": 128}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--files", type=int, default=FILES, help="request files in the push")
    parser.add_argument("--budget", action="store_true", help="under the limits of a free account")
    parser.add_argument("--json", action="store_true", help="one JSON object as the last line")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="steward-bench-") as folder:
        figures = measure(Path(folder), options.files, FREE_ACCOUNT if options.budget else {})
    bars = {"seconds": "" if options.budget else "60", "calls_per_file": "5", "commits": "10", "refused": ""}
    for name, value in figures.items():
        print(f"{name:20}{value:12,}{bars.get(name, ''):>12}")
    if options.json:
        print(json.dumps(figures))


def measure(folder: Path, files: int, limits: dict[str, int]) -> dict[str, Any]:
    """Return the figures of one push."""
    port = free_port()
    models = [f"org-{number // 10:03}/model-{number}" for number in range(files)]
    write_hub(folder / "hub", iter(()), models, webhook=f"http://127.0.0.1:{port}/webhooks/hub")
    with stage(folder) as board:
        board.start_web(port)
        board.start_sync()
        board.wait(lambda: board.context.index.head(REQUESTS))
        board.wait(board.quiet)
        board.admin("PUT", "limits", limits)
        board.admin("POST", "stats/reset")
        started = time.monotonic()
        push(board.url, {request_path(model): request_file(model, "PENDING") for model in models})
        board.wait(lambda: board.context.index.count_waiting() == files, every=0.05)
        seconds = time.monotonic() - started
        return {"seconds": round(seconds, 2), **_costs(board, files), **({} if not limits else _refused(board))}


def push(url: str, files: dict[str, bytes]) -> None:
    """Commit these files as the form does."""
    lines: list[dict[str, Any]] = [{"key": "header", "value": {"summary": "A thousand requests", "description": ""}}]
    lines += [{"key": "file", "value": {"path": path, "content": data.decode()}} for path, data in files.items()]
    body = b"".join(json.dumps(line).encode() + b"\n" for line in lines)
    headers = {"Authorization": f"Bearer {FORM}"}
    answer = httpx2.post(f"{url}/api/datasets/{REQUESTS}/commit/main", content=body, headers=headers, timeout=120)
    answer.raise_for_status()


def _costs(board: BenchmarkBoard, files: int) -> dict[str, Any]:
    """Return the bot's calls per file without those of admission, and its commits in all repos."""
    stats = board.admin("GET", "stats")
    calls = sum(call["count"] for call in stats["calls"] if call["account"] == "bot")
    commits = sum(stats["commits"].values()) - 1
    return {"calls_per_file": round(calls / files - OF_ADMISSION, 2), "commits": commits}


def _refused(board: BenchmarkBoard) -> dict[str, int]:
    calls = board.admin("GET", "stats")["calls"]
    return {"refused": sum(call["count"] for call in calls if call["account"] == "bot" and call["status"] == 429)}


if __name__ == "__main__":
    main()
