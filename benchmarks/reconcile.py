"""Measures a start with an empty Redis, and a reconcile round without changes, at several sizes of a board.

    python -m benchmarks.reconcile [--sizes 1000 10000 100000] [--json]

A start lasts from the start of the sync process until every request is in the index and no work is left. Nearly all
requests have ended, as on a board of some years; ten wait and are admitted. A round is everything that the timer
checks, until no work is left. The local Hub counts the calls; memory is the peak of the sync process alone. Its seconds
of a processor, with those of the git commands that it waited for, hardly depend on what else the machine does.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from benchmarks.stage import BenchmarkBoard, cpu_seconds, peak_mb, request_file, request_path, stage, write_hub
from bot.processes.reconcile import round_keys
from redis_state.dirty import SyncPriority

SIZES = (1_000, 10_000, 100_000)
WAITING = 10
PER_FOLDER = 5
ROUNDS = 5


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", type=int, nargs="+", default=list(SIZES), help="request files in the repo")
    parser.add_argument("--json", action="store_true", help="one JSON object as the last line")
    options = parser.parse_args()
    names = ("files", "seconds", "cpu_seconds", "calls", "rss_mb", "steady_seconds", "steady_calls")
    print("".join(f"{name:>16}" for name in names))
    figures = []
    for size in options.sizes:
        with tempfile.TemporaryDirectory(prefix="steward-bench-") as folder:
            figures.append(measure(Path(folder), size))
        print("".join(f"{figures[-1][name]:16,}" for name in names), flush=True)
    print(f"{'target':>16}{'60 (at 100,000)':>16}{'':48}{'< 1':>16}{'< 10':>16}")
    if options.json:
        print(json.dumps({"sizes": figures}))


def measure(folder: Path, size: int) -> dict[str, Any]:
    """Return the figures at one size."""
    models = [f"waiting/model-{number}" for number in range(WAITING)]
    write_hub(folder / "hub", requests(size, models), models)
    with stage(folder) as board:
        before = board.admin("GET", "stats")["total"]
        started = time.monotonic()
        process = board.start_sync().process
        board.wait(lambda: board.context.index.count() == size and board.context.index.count_waiting() == WAITING)
        board.wait(board.quiet)
        seconds = time.monotonic() - started
        calls, cpu = board.admin("GET", "stats")["total"] - before, cpu_seconds(process.pid)
        steady = sorted(_round(board) for _ in range(ROUNDS))[ROUNDS // 2]
        return {
            "files": size,
            "seconds": round(seconds, 2),
            "cpu_seconds": round(cpu, 2),
            "calls": calls,
            "rss_mb": round(peak_mb(process.pid), 1),
            "steady_seconds": round(steady[0], 3),
            "steady_calls": steady[1],
        }


def requests(size: int, waiting: list[str]) -> Iterator[tuple[str, bytes]]:
    """Yield request files as a board has them: most finished, some failed, a few with old statuses."""
    for model in waiting:
        yield request_path(model), request_file(model, "PENDING")
    for number in range(size - len(waiting)):
        model = f"org-{number // PER_FOLDER:05}/model-{number}"
        status = ("FAILED", "CANCELLED", "RUNNING", "FINISHED_2023")[number % 4] if number % 5 == 0 else "FINISHED"
        yield request_path(model), request_file(model, status, job_id=number)


def _round(board: BenchmarkBoard) -> tuple[float, int]:
    """Return seconds and calls of one round."""
    context = board.context
    context.redis.hset(context.keys.rounds, "round", context.now())  # keeps the timer's own round from starting
    before, started = board.admin("GET", "stats")["total"], time.monotonic()
    context.mark_all(round_keys(context), SyncPriority.BACKGROUND)
    board.wait(board.quiet, every=0.002)
    return time.monotonic() - started, board.admin("GET", "stats")["total"] - before


if __name__ == "__main__":
    main()
