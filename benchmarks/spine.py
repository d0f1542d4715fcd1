"""Measures the path from a commit to a job in RQ to the start of the child on an idle machine, and memory.

    python -m benchmarks.spine [--rounds 3] [--json]

Starts the demo's stage (queue server, localhub, web server, sync process, worker) and submits the same small model
several times, each time at another commit. The child counts as started at its first message. The first round downloads
the model; the others find it in the worker's cache.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.demo import demo, wait_for

CHILD_PHASES = ("load", "prepare", "evaluate", "score")
POLL = 0.002


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", action="store_true", help="one JSON object as the last line")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="steward-bench-") as folder:
        figures = measure(Path(folder), options.rounds)
    print(f"{'':28}{'first':>10}{'best':>10}{'target':>10}")
    for name, bar in (("commit_to_job_seconds", 1.0), ("job_to_child_seconds", 3.0)):
        print(f"{name:28}{figures[name][0]:10.2f}{min(figures[name]):10.2f}{bar:10.2f}")
    for name, bar in (("web_rss_mb", 150), ("sync_rss_mb", 250), ("probe_rss_mb", 0)):
        print(f"{name:28}{figures[name]:10}{'':10}{bar or '-':>10}")
    if options.json:
        print(json.dumps(figures))


def measure(folder: Path, rounds: int) -> dict[str, Any]:
    """Return the figures; times in seconds, one per round."""
    with demo(folder) as stage:
        times = [_round(stage, number) for number in range(rounds)]
        return {
            "commit_to_job_seconds": [round(job, 3) for job, _ in times],
            "job_to_child_seconds": [round(child, 3) for _, child in times],
            **_weights(stage.children),
        }


def _round(stage: Any, number: int) -> tuple[float, float]:
    """Submit a new commit and measure the times; cancel the evaluation once its child has started."""
    from huggingface_hub import CommitOperationAdd, HfApi

    from leaderboard.attempts import attempt_id
    from redis_state.attempts import Attempts
    from redis_state.keys import Keys
    from redis_state.redis import connect
    from steward.demo.story import SUBMISSIONS, request_file, submit
    from steward.demo.world import ORG, REQUESTS

    submission = SUBMISSIONS[0]
    owner = HfApi(stage.hub_url, token=stage.world.tokens[submission.sender])
    note = [CommitOperationAdd("notes.txt", f"round {number}".encode())]
    revision = owner.create_commit(submission.model, note, commit_message="A new commit").oid
    attempts = Attempts(connect(stage.valkey.url), Keys(ORG))
    attempt = attempt_id(ORG, submission.path, revision, 1)
    moved = partial(wait_for, stage, seconds=120, every=POLL)
    began = time.monotonic()
    submit(stage.hub_url, stage.world, submission, revision)
    moved(lambda: attempts.read(attempt))
    queued = time.monotonic()
    moved(lambda: (state := attempts.read(attempt)) is not None and state.progress.phase in CHILD_PHASES)
    started = time.monotonic()
    form = HfApi(stage.hub_url, token=stage.world.tokens["board-front-end"])
    fields = {**json.loads(request_file(submission, revision)), "status": "CANCELLED"}
    cancel = [CommitOperationAdd(submission.path, json.dumps(fields).encode())]
    form.create_commit(REQUESTS, cancel, commit_message="Cancel", repo_type="dataset")
    attempts.cancel(attempt)
    moved(lambda: (state := attempts.read(attempt)) is not None and state.state == "ended")
    return queued - began, started - queued


def _weights(children: Any) -> dict[str, int]:
    """Return resident memory in MB of the web server, the sync process, and the probe."""
    pids = {child.name: child.process.pid for child in children.started}
    sync = pids["sync"]
    tasks = Path(f"/proc/{sync}/task").glob("*/children")
    probes = [int(pid) for file in tasks for pid in file.read_text().split()]
    return {
        "web_rss_mb": _resident(pids["web"]),
        "sync_rss_mb": _resident(sync),
        "probe_rss_mb": sum(map(_resident, probes)),
    }


def _resident(pid: int) -> int:
    return int(Path(f"/proc/{pid}/status").read_text().partition("VmRSS:")[2].split()[0]) // 1024


if __name__ == "__main__":
    main()
